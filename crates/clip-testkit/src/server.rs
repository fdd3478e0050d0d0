//! An HTTP server on loopback for a test, on a thread of its own.

use std::net::{IpAddr, SocketAddr, TcpListener};

use axum::Router;
use tokio::sync::oneshot;

/// A running server; it stops when dropped.
pub struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
}

impl Server {
    /// Serves on a free port of `ip` what `app` makes of the address.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn start(ip: IpAddr, app: impl FnOnce(SocketAddr) -> Router) -> std::io::Result<Self> {
        let listener = TcpListener::bind((ip, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let app = app(address);
        std::thread::spawn(move || {
            runtime.block_on(async move {
                let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
                tokio::select! {
                    _ = axum::serve(listener, app) => {}
                    _ = stopped => {}
                }
            });
            // Connections that never end must not keep the thread.
            runtime.shutdown_background();
        });
        Ok(Self { address, stop: Some(stop) })
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }
}
