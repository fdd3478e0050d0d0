//! Sites with certificates behind proxies.

use std::process::Command;

use clip_image::encode_jpeg;
use clip_testkit::proxy::ForwardProxy;
use clip_testkit::socks::SocksProxy;
use clip_testkit::tls::{TlsSite, authority};
use serde_json::Value;

use crate::world::{executable, smooth_image};

/// The number of images, and the kinds of failures, of a fetch of one URL through a proxy.
fn fetched(url: &str, proxy: &str, trusted: bool) -> (u64, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("list.txt"), format!("{url}\n")).unwrap();
    let mut command = Command::new(executable("clip-data"));
    let options = ["--allow_private", "True", "--robots", "False", "--retries", "0"];
    command.args(["fetch", "list.txt", "--out", "out", "--proxy", proxy]).args(options);
    command.current_dir(folder.path()).env_remove("SSL_CERT_DIR");
    if trusted {
        command.env("SSL_CERT_FILE", authority());
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let stats = std::fs::read(folder.path().join("out/00000_stats.json")).unwrap();
    let stats: Value = serde_json::from_slice(&stats).unwrap();
    let kinds = stats["error_kinds"].as_object().unwrap().keys().cloned().collect();
    (stats["successes"].as_u64().unwrap(), kinds)
}

#[test]
fn certificates_are_verified_through_a_tunnel_and_through_socks() {
    let site = TlsSite::start(encode_jpeg(&smooth_image(1), 80).unwrap()).unwrap();
    let (tunnels, socks) = (ForwardProxy::start(None).unwrap(), SocksProxy::start(None).unwrap());
    let [right, wrong] = ["photos.test", "other.test"].map(|host| site.url(host, "/a.jpg"));
    for proxy in [format!("http://{}", tunnels.address()), format!("socks5h://{}", socks.address())]
    {
        assert_eq!(fetched(&right, &proxy, true), (1, vec![]), "{proxy}");
        // The host's fault, not the proxy's.
        let refused = (0, vec!["tls".to_owned()]);
        assert_eq!(fetched(&right, &proxy, false), refused, "{proxy}: an unknown authority");
        assert_eq!(fetched(&wrong, &proxy, true), refused, "{proxy}: another name");
    }
    assert_eq!(site.asked(), ["/a.jpg", "/a.jpg"]);
    let targets = [&right, &right, &wrong].map(|url| url["https://".len()..].replace("/a.jpg", ""));
    assert_eq!(socks.asked(), targets);
    assert_eq!(tunnels.asked(), targets.map(|target| format!("CONNECT {target}")));
}
