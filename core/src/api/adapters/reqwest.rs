//! Authentication for requests that a program sends by reqwest.
//!
//! Promises: the pair goes to URLs below the manager's base URL only, never to the token endpoint, and no redirect is followed
//! with it; a 401 leads to one refresh, however many calls it meets, and the call is repeated once if its body can be sent
//! again. Connections and time limits are reqwest's, not pay88's: what became of a call that failed is not told, so
//! look a charge up before you send it again.
//!
//! ```no_run
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use pay88::adapters::reqwest::Client;
//!
//! let manager = pay88::TokenManager::new(pay88::Config::new())?;
//! let url = format!("{}/api/balance", manager.base_url());
//! let client = Client::new(reqwest::Client::builder(), manager)?;
//! let answer = client.execute(client.inner().post(url).build()?).await?;
//! println!("{}", answer.status());
//! # Ok(())
//! # }
//! ```

use std::fmt;

use ::reqwest::redirect::Policy;
use ::reqwest::{ClientBuilder, Request, Response, StatusCode};
use http::{HeaderMap, header};

use crate::api::token_manager::TokenManager;
use crate::manager::token::Token;

/// A client of reqwest whose requests to 88Pay carry the token. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    inner: ::reqwest::Client,
    manager: TokenManager,
}

/// Why there is no answer.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The request is not one for 88Pay (`refused`), or there is no token. Nothing was sent.
    Pay88(crate::error::Error),
    /// reqwest could not build the client, send the request or receive the answer.
    Reqwest(::reqwest::Error),
}

impl Client {
    /// Builds the client. A builder and not a client is what is taken, since redirects have to be off: reqwest would leave out the
    /// token where one leads to another host, but not the session ID.
    ///
    /// # Errors
    /// Those of [`ClientBuilder::build`].
    pub fn new(builder: ClientBuilder, manager: TokenManager) -> Result<Client, Error> {
        let inner = builder.redirect(Policy::none()).build();
        Ok(Client {
            inner: inner.map_err(Error::Reqwest)?,
            manager,
        })
    }

    /// The client itself: it builds requests. What it sends by itself carries no token.
    pub fn inner(&self) -> &::reqwest::Client {
        &self.inner
    }

    /// Sends a request with the pair, in place of any that it has. A 401 drops that token and sends the request once more
    /// with a new one, unless its body is a stream or there is no new token now: then the 401 is the answer.
    ///
    /// # Errors
    /// [`Error::Pay88`] before anything was sent, [`Error::Reqwest`] for all that comes later.
    pub async fn execute(&self, mut request: Request) -> Result<Response, Error> {
        (self.manager.check_url(request.url())).map_err(Error::Pay88)?;
        let token = (self.manager.get_token_async().await).map_err(Error::Pay88)?;
        let again = request.try_clone();
        attach(request.headers_mut(), &token);
        let answer = self.inner.execute(request).await.map_err(Error::Reqwest)?;
        let (StatusCode::UNAUTHORIZED, Some(mut again)) = (answer.status(), again) else {
            return Ok(answer);
        };
        // It does nothing if another request has dropped that token already.
        if self.manager.invalidate_token(&token).is_err() {
            return Ok(answer);
        }
        let Ok(token) = self.manager.get_token_async().await else {
            return Ok(answer);
        };
        attach(again.headers_mut(), &token);
        self.inner.execute(again).await.map_err(Error::Reqwest)
    }
}

fn attach(headers: &mut HeaderMap, token: &Token) {
    let snapshot = &token.0.snapshot;
    headers.insert(header::AUTHORIZATION, snapshot.authorization.clone());
    headers.insert("x-session-id", snapshot.session.clone());
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Pay88(error) => error.fmt(f),
            Error::Reqwest(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Pay88(error) => std::error::Error::source(error),
            Error::Reqwest(error) => error.source(),
        }
    }
}
