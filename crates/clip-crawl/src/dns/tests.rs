use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use clip_testkit::dns::{NameServer, Reply};

use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn resolver(servers: &[&NameServer], allow_private: bool) -> Resolver {
    let servers = servers.iter().map(|server| server.address()).collect();
    Resolver::new(&NameServers::Servers(servers), allow_private)
}

/// The addresses, or the error in words.
async fn resolved(resolver: &Resolver, name: &str) -> Result<Vec<IpAddr>, String> {
    match resolver.resolve(Name::from_str(name).unwrap()).await {
        Ok(addresses) => Ok(addresses.map(|address| address.ip()).collect()),
        Err(error) => Err(error.to_string()),
    }
}

/// A name server whose answers lead into the network of whoever asks.
fn hostile() -> NameServer {
    NameServer::start(|name, _, times| match name.split('.').next().unwrap_or_default() {
        "multi" => Reply::addresses(&["93.184.216.34", "127.0.0.1"]),
        "flip" if times == 1 => Reply::addresses(&["93.184.216.34"]).ttl(0),
        "flip" => Reply::addresses(&["127.0.0.1"]).ttl(0),
        "private" => Reply::addresses(&["10.0.0.1", "192.168.0.1"]),
        "metadata" => Reply::addresses(&["169.254.169.254"]),
        "alias" => Reply::alias("localhost.").and(Reply::addresses(&["127.0.0.1"])),
        _ => Reply::NoName,
    })
    .unwrap()
}

#[tokio::test]
async fn no_answer_of_a_name_server_leads_into_the_own_network() {
    let server = hostile();
    let careful = resolver(&[&server], false);
    assert_eq!(resolved(&careful, "multi.test").await.unwrap(), [ip("93.184.216.34")]);
    for _ in 0..3 {
        // The first answer is public, and kept for some seconds whatever its TTL.
        assert_eq!(resolved(&careful, "flip.test").await.unwrap(), [ip("93.184.216.34")]);
    }
    let again = resolver(&[&server], false);
    for (resolver, name) in [
        (&again, "flip.test"),
        (&careful, "private.test"),
        (&careful, "metadata.test"),
        (&careful, "alias.test"),
        (&careful, "localhost"),
        (&careful, "a.localhost"),
    ] {
        let error = resolved(resolver, name).await.unwrap_err();
        assert!(error.contains("private address"), "{name}: {error}");
    }
    let own = resolver(&[&server], true);
    assert_eq!(resolved(&own, "private.test").await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_name_is_asked_for_once_and_so_is_the_lack_of_one() {
    let server = NameServer::start(|name, _, _| match name {
        "there.test" => Reply::addresses(&["93.184.216.34"]),
        _ => Reply::NoName,
    })
    .unwrap();
    let resolver = resolver(&[&server], false);
    let all = (0..100).map(|_| resolved(&resolver, "there.test"));
    assert!(futures::future::join_all(all).await.iter().all(Result::is_ok));
    for _ in 0..3 {
        let error = resolved(&resolver, "gone.test").await.unwrap_err();
        assert_eq!(error, "the name has no address");
    }
    // Upper case and a final dot change nothing for the server.
    assert!(resolved(&resolver, "THERE.test.").await.is_ok());
    assert_eq!(server.asked("there.test"), 2);
    assert_eq!(server.asked("gone.test"), 1);
    assert!(resolved(&resolver, "x.invalid").await.is_err());
    assert_eq!(server.asked("x.invalid"), 0);
}

#[tokio::test]
async fn another_server_is_asked_where_one_is_silent_or_fails() {
    let silent = NameServer::start(|_, _, _| Reply::Silence).unwrap();
    let failing = NameServer::start(|_, _, _| Reply::Failure).unwrap();
    let well = NameServer::start(|_, _, _| Reply::addresses(&["93.184.216.34"])).unwrap();
    let resolver = resolver(&[&silent, &failing, &well], false);
    let names: Vec<String> = (0..40).map(|n| format!("h{n}.test")).collect();
    for name in &names {
        assert!(resolved(&resolver, name).await.is_ok(), "{name}");
    }
    // Both are asked last once they are known.
    let asked = |server: &NameServer| names.iter().filter(|name| server.asked(name) > 0).count();
    assert!(asked(&silent) < 10, "{}", asked(&silent));
    assert!(asked(&failing) < 10, "{}", asked(&failing));
    assert_eq!(asked(&well), 40);
}

#[tokio::test]
async fn where_no_server_answers_the_name_is_not_said_to_be_gone() {
    let failing = NameServer::start(|_, _, _| Reply::Failure).unwrap();
    let resolver = resolver(&[&failing], false);
    let error = resolved(&resolver, "a.test").await.unwrap_err();
    assert_eq!(error, "no name server answered");
}

#[tokio::test]
async fn a_long_answer_comes_by_tcp() {
    let many: Vec<String> = (1..=60).map(|n| format!("93.184.216.{n}")).collect();
    let server = NameServer::start(move |_, _, _| {
        Reply::addresses(&many.iter().map(String::as_str).collect::<Vec<_>>())
    })
    .unwrap();
    let found = resolved(&resolver(&[&server], false), "many.test").await.unwrap();
    assert_eq!(found.len(), message::ADDRESSES);
    assert!(found.iter().all(|ip| ip.to_string().starts_with("93.184.216.")));
}

#[tokio::test]
async fn names_are_looked_up_side_by_side() {
    let server = NameServer::start(|_, _, _| Reply::addresses(&["93.184.216.34"]))
        .unwrap()
        .delayed(Duration::from_millis(300));
    let resolver = resolver(&[&server], false);
    let names: Vec<String> = (0..200).map(|n| format!("h{n}.test")).collect();
    let all = futures::future::join_all(names.iter().map(|name| resolved(&resolver, name))).await;
    assert!(all.iter().all(Result::is_ok));
    assert!(server.most_at_once() > 100, "{}", server.most_at_once());
}

#[tokio::test]
async fn a_question_that_was_lost_three_times_is_asked_once_more() {
    let server = NameServer::start(|_, _, times| {
        if times > 3 { Reply::addresses(&["93.184.216.34"]) } else { Reply::Silence }
    });
    let server = server.unwrap();
    let resolver = resolver(&[&server], false);
    assert!(resolved(&resolver, "h.test").await.is_ok());
    assert_eq!(server.asked("h.test"), 4);
}
