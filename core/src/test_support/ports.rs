//! Ports that nobody listens on, while many tests listen on whichever port is free.

use std::net::{SocketAddr, TcpListener, TcpStream};

/// An address where connections are refused.
pub(crate) struct Nobody {
    pub(crate) address: SocketAddr,
    _connection: (TcpListener, TcpStream),
}

/// Nobody can listen at the near end of a connection, as long as it stands.
pub(crate) fn nobody() -> Nobody {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    Nobody {
        address: stream.local_addr().unwrap(),
        _connection: (listener, stream),
    }
}
