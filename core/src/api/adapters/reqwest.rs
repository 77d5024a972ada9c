//! Authentication for requests that a program sends by reqwest.
//!
//! Promises: token and session ID go to URLs below the manager's base URL only, and never to the token endpoint. No
//! redirect is followed with them. A 401 makes pay88 ask for one new token, however many calls meet it, and the call
//! is repeated once if its body can be sent again. Connections and time limits are reqwest's, not pay88's. So a
//! failed call does not say whether it reached 88Pay: look a charge up before you send it again.
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

/// Sends requests to 88Pay by reqwest, with the token. Cheap to clone. The module has an example.
#[derive(Clone, Debug)]
pub struct Client {
    inner: ::reqwest::Client,
    manager: TokenManager,
}

/// Says why there is no answer.
///
/// ```
/// use pay88::adapters::reqwest::Error;
///
/// fn may_repeat(error: &Error) -> bool {
///     // Nothing was sent in this case. In the other one nobody knows.
///     matches!(error, Error::Pay88(_))
/// }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The request is not for 88Pay (`refused`), or there is no token. Nothing was sent.
    Pay88(crate::error::Error),
    /// reqwest could not build the client, send the request or receive the answer.
    Reqwest(::reqwest::Error),
}

impl Client {
    /// Builds the client. It takes a builder and not a client, because redirects have to be off: if a redirect led to
    /// another host, reqwest would leave out the token, but not the session ID.
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

    /// The client of reqwest, which builds requests. What it sends by itself carries no token.
    pub fn inner(&self) -> &::reqwest::Client {
        &self.inner
    }

    /// Sends a request with the token and session ID, in place of any that it has. After a 401 it drops that token
    /// and sends the request once more with a new one. If the body is a stream, or if there is no new token now, the
    /// 401 is the answer.
    ///
    /// # Errors
    /// [`Error::Pay88`] before anything was sent, [`Error::Reqwest`] for everything later.
    pub async fn execute(&self, mut request: Request) -> Result<Response, Error> {
        (self.manager.check_url(request.url())).map_err(Error::Pay88)?;
        let token = (self.manager.get_token_async().await).map_err(Error::Pay88)?;
        let again = request.try_clone();
        attach(request.headers_mut(), &token);
        let answer = self.inner.execute(request).await.map_err(Error::Reqwest)?;
        let (StatusCode::UNAUTHORIZED, Some(mut again)) = (answer.status(), again) else {
            return Ok(answer);
        };
        // Does nothing if another request has dropped that token already.
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
    let snapshot = &*token.0;
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
