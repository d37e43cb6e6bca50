use super::*;

/// Asserts that each URL is refused by a message with these words, which does not repeat the word `secret`.
fn refused(cases: &[(&str, &str)]) {
    for (url, says) in cases {
        let error = parse(url).err().unwrap_or_else(|| panic!("{url} is accepted"));
        assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{url}");
        let text = format!("{error} {error:?}");
        assert!(text.contains(says), "{url}: {text}");
        assert!(!text.contains("secret"), "{text}");
    }
}

/// Bug: parameters that a URL cannot have were ignored.
/// Effect: `redis://host?db=3` wrote to database 0.
/// Fix: each parameter is used or refused by its name.
#[test]
fn what_a_url_cannot_say_is_refused_by_name() {
    refused(&[
        ("redis://:secret@h?db=3", "\"db\" is unknown; the database is the path"),
        ("redis://:secret@h/2?timeout=3", "\"timeout\""),
        ("unix:///s?db=3&password=secret", "\"password\""),
        ("unix:///s?db=3&db=4", "\"db\" is given twice"),
        ("unix:///s?dbb=3&pass=secret", "\"dbb\""),
        ("redis://:secret@h?dbb=3", "\"dbb\""),
        ("unix:///s?db=three&pass=secret", "database is not a number"),
        ("redis://:secret@h/x", "database is not a number"),
        ("redis://:secret@h/1/2", "database is not a number"),
        ("redis://:secret@h/-1", "database is not a number"),
        ("redis://:secret@h/99999999999", "database is not a number"),
        ("redis://:secret@h#1", "fragment"),
        ("http://:secret@h", "scheme is none of redis, rediss"),
        ("reddis://:secret@h", "scheme is none of redis, rediss"),
        ("secret://h", "scheme is none of"),
        ("redis-sentinels://:secret@h", "scheme is none of"),
        ("", "does not begin with a scheme"),
        ("localhost", "does not begin with a scheme"),
        ("redis:secret@h", "does not begin with a scheme"),
        ("redis://", "the host is missing"),
        ("redis://:secret@:1", "the host is missing"),
        ("redis://:secret@h:port", "the port of the host is not a number"),
        ("redis://:secret@h:", "the port of the host"),
        ("redis://:secret@h:0", "the port of the host"),
        ("redis://:secret@h:65536", "the port of the host"),
        ("redis://:secret@::1", "in brackets"),
        ("redis://:secret@[::g]", "IPv6"),
        ("redis://:secret@[::1", "not closed"),
        ("redis://:secret@[::1]1", "only a port"),
        ("redis://:secret@0.0.0.0", "address to listen on"),
        ("redis://:secret@a b", "characters"),
        ("redis://:secret@h1,h2", "redis-sentinel:// or redis-cluster://"),
        ("redis://:secret\n@h", "control character"),
        ("redis://user:@h", "there is a user and no password"),
        ("redis://secret@h", "there is a user and no password"),
        ("redis://:%FFsecret@h", "the password is not UTF-8"),
        ("unix://user:secret@h/s", "no host"),
        ("unix:///s?user=u", "there is a user and no password"),
    ]);
}

/// Bug: a refusal repeated the name of an unknown parameter.
/// Effect: part of a password in which `?` or `&` is not encoded was shown in errors.
/// Fix: after a `pass`, or where an `@` follows, only names that are known for parameters are repeated; else words.
#[test]
fn no_part_of_a_password_is_taken_for_a_name() {
    for url in [
        "redis://app:?secret@h",
        "redis://app:12?secret@h:6379/3",
        "redis://app:12?3&secret=@h",
        "unix:///s?pass=1&secret",
        "unix:///s?pass=1&2=3&secret=4",
        "unix:///s?pass=1&secret&secret",
        "unix:///s?1secret=",
        "redis-sentinel://h/main?sentinel_password=1&secret",
        "redis-cluster://app:1?secret@h",
    ] {
        let text = parse(url).err().unwrap().to_string();
        assert!(text.contains("the parameter number") && !text.contains("secret"), "{text}");
    }
}

#[test]
fn characters_that_are_to_be_encoded_in_a_password_are_named() {
    refused(&[
        ("redis://app:12/secret@h", "a / in a password is written %2F"),
        ("redis://:/secret@h", "a / in a password is written %2F"),
        ("redis://app:12?secret@h", "a ? %3F"),
        ("redis-sentinel://app:/secret@h/main", "a / in a password is written %2F"),
        ("redis-sentinel://app:12/secret@h/main", "a / in a password is written %2F"),
        ("redis-sentinel://app:se@cret@h/main", "more than one @"),
        ("redis-cluster://app:1/secret@h1,h2", "a / in a password is written %2F"),
        ("redis-cluster://u:secret@h1,u:secret@h2", "once, before the first host"),
        ("redis-cluster://u:#secret@h1", "fragment"),
    ]);
}

#[test]
fn what_a_url_can_say_is_used() {
    for (url, host, port, database, user, password) in [
        ("redis://h", "h", 6379, 0, None, None),
        ("redis://h/", "h", 6379, 0, None, None),
        (" redis://h\n", "h", 6379, 0, None, None),
        ("REDIS://h", "h", 6379, 0, None, None),
        ("redis://u:p@h:1/3", "h", 1, 3, Some("u"), Some("p")),
        ("valkey://:p:q@h_1.example-2.com", "h_1.example-2.com", 6379, 0, None, Some("p:q")),
        ("redis://:p@q@h", "h", 6379, 0, None, Some("p@q")),
        ("redis://:%23%2F%3F%40%25%c3%a9 é,@h", "h", 6379, 0, None, Some("#/?@%é é,")),
        ("redis://[0:0::1]:7", "::1", 7, 0, None, None),
        ("redis://127.0.0.1:7", "127.0.0.1", 7, 0, None, None),
    ] {
        let Parsed::Server(found, access) = parse(url).unwrap() else { panic!("{url}") };
        assert_eq!(found, Host { name: host.to_owned(), port }, "{url}");
        assert_eq!((access.database, access.tls), (database, None), "{url}");
        assert_eq!((access.user.as_deref(), access.password.as_deref()), (user, password));
    }
    for (url, database, user) in [
        ("unix:///s?db=2&user=u&pass=p", 2, Some("u")),
        ("redis+unix:///s?db=2", 2, None),
        ("unix:///s", 0, None),
    ] {
        let Parsed::Socket(path, access) = parse(url).unwrap() else { panic!("{url}") };
        assert_eq!(path, PathBuf::from("/s"));
        assert_eq!((access.database, access.user.as_deref()), (database, user), "{url}");
    }
}

fn sentinel(url: &str) -> SentinelParts {
    let Parsed::Sentinel(parts) = parse(url).unwrap() else { panic!("{url}") };
    parts
}

fn cluster(url: &str) -> ClusterParts {
    let Parsed::Cluster(parts) = parse(url).unwrap() else { panic!("{url}") };
    parts
}

fn hosts(hosts: &[Host]) -> Vec<(&str, u16)> {
    hosts.iter().map(|host| (host.name.as_str(), host.port)).collect()
}

#[test]
fn what_a_list_of_sentinels_can_say_is_used() {
    let url =
        "redis-sentinel://app:p%40@h1:7,h2,[::1]:8/my-main/3?sentinel_user=s&sentinel_password=q";
    let parts = sentinel(url);
    assert_eq!(hosts(&parts.sentinels), [("h1", 7), ("h2", 26379), ("::1", 8)]);
    assert_eq!(parts.service, "my-main");
    let access = |user: &str, password: &str, database| AccessParts {
        user: Some(user.to_owned()),
        password: Some(password.to_owned()),
        database,
        tls: None,
    };
    assert!(parts.access == access("app", "p@", 3));
    assert!(parts.sentinel_access == access("s", "q", 0));
    // Neither gets the credentials of the other.
    let parts = sentinel("redis+sentinel://:p@h1/main");
    assert!(parts.access.password.is_some() && parts.sentinel_access == AccessParts::default());
    let parts = sentinel("valkey-sentinel://h1/main?sentinel_password=q");
    assert!(parts.sentinel_access.password.is_some() && parts.access == AccessParts::default());
}

#[test]
fn what_a_list_of_nodes_can_say_is_used() {
    let parts = cluster("redis-cluster://app:p@h1:7,h2/0?anchor=2&replicas=read");
    assert_eq!(hosts(&parts.nodes), [("h1", 7), ("h2", 6379)]);
    assert_eq!((parts.anchor, parts.replicas), (2, ReplicaUse::Read));
    assert_eq!(parts.access.user.as_deref(), Some("app"));
    let parts = cluster("valkey+cluster://h1");
    assert_eq!((parts.anchor, parts.replicas), (1, ReplicaUse::Ignore));
}

#[test]
fn what_a_list_of_hosts_cannot_say_is_refused_by_name() {
    let many = (0..65).map(|n| format!("h{n}")).collect::<Vec<_>>().join(",");
    refused(&[
        ("redis-sentinel://:secret@h1,h2", "the path, which names the primary"),
        ("redis-sentinel://:secret@h1,h2/", "the path, which names the primary"),
        ("redis-sentinel://:secret@h1,h2/a%20b", "no name that sentinels have"),
        ("redis-sentinel://:secret@h1,h2/a%40b", "no name that sentinels have"),
        ("redis-sentinel://:secret@h1,h2/main/x", "database is not a number"),
        ("redis-sentinel://:secret@h1,h2/main/1/2", "database is not a number"),
        ("redis-sentinel://:secret@h1,/main", "host number 2 is missing"),
        ("redis-sentinel://:secret@,h1/main", "host number 1 is missing"),
        ("redis-sentinel://:secret@/main", "host number 1 is missing"),
        ("redis-sentinel://:secret@h1,h2:x/main", "the port of host number 2"),
        ("redis-sentinel://:secret@h1,h2,h1:26379/main", "host number 3 is the same"),
        ("redis-sentinel://app@h1/main", "there is a user and no password"),
        ("redis-sentinel://h1/main?sentinel_user=u", "there is a sentinel_user and no password"),
        ("redis-sentinel://:secret@h1/main?sentinel_user=", "\"sentinel_user\" is empty"),
        (
            "redis-sentinel://:secret@h1/main?anchor=2",
            "\"anchor\" is unknown; there are sentinel_user",
        ),
        (
            "redis-sentinel://:secret@h1/main?sentinel_username=u",
            "\"sentinel_username\" is unknown",
        ),
        ("redis-sentinel://:secret@h1/main?ca=a", "\"ca\" is unknown"),
        ("redis-cluster://:secret@h1/1", "no other database than 0"),
        ("redis-cluster://:secret@h1/x", "database is not a number"),
        ("redis-cluster://:secret@h1?anchor=0", "\"anchor\" is not a number from 1 to 64"),
        ("redis-cluster://:secret@h1?anchor=65", "\"anchor\" is not a number"),
        ("redis-cluster://:secret@h1?anchor=+1", "\"anchor\" is not a number"),
        ("redis-cluster://:secret@h1?anchor=root", "\"anchor\" is not a number"),
        ("redis-cluster://:secret@h1?replicas=secret", "neither read nor ignore"),
        ("redis-cluster://:secret@h1?replica=read", "\"replica\" is unknown; there are anchor"),
        ("redis-cluster://:secret@h1,h1", "host number 2 is the same"),
        (&format!("redis-cluster://:secret@{many}"), "more than 64 hosts"),
    ]);
}

#[cfg(not(feature = "tls"))]
#[test]
fn tls_needs_its_feature() {
    for url in ["rediss://:secret@h", "valkeys://:secret@h", "rediss-sentinel://:secret@h/main"] {
        let text = parse(url).err().unwrap().to_string();
        assert!(text.contains("TLS needs the feature") && !text.contains("secret"), "{text}");
    }
}

#[cfg(feature = "tls")]
#[test]
fn what_a_url_says_of_tls_is_used() {
    let parts = parse("rediss://u:p@h:7/3?ca=/a%20b.pem&cert=c.pem&key=c.key&server_name=n");
    let Parsed::Server(host, AccessParts { user, database, tls, .. }) = parts.unwrap() else {
        panic!("it names one server");
    };
    assert_eq!((host.name.as_str(), host.port), ("h", 7));
    assert_eq!((database, user.as_deref()), (3, Some("u")));
    let client = Some(("c.pem".to_owned(), "c.key".to_owned()));
    let (ca, server_name) = (Some("/a b.pem".to_owned()), Some("n".to_owned()));
    assert_eq!(tls, Some(TlsParts { ca, client, server_name }));
    let Parsed::Server(_, access) = parse("valkeys://h").unwrap() else { panic!() };
    assert_eq!(access.tls, Some(TlsParts::default()));
    let parts = sentinel("rediss-sentinel://h1/main?ca=a&server_name=n");
    assert_eq!(parts.access.tls, parts.sentinel_access.tls);
    assert_eq!(parts.access.tls.and_then(|tls| tls.ca).as_deref(), Some("a"));
    let parts = cluster("rediss-cluster://h1?ca=a&anchor=2");
    assert_eq!((parts.access.tls.and_then(|tls| tls.ca).as_deref(), parts.anchor), (Some("a"), 2));
}

#[cfg(feature = "tls")]
#[test]
fn what_a_url_cannot_say_of_tls_is_refused_by_name() {
    refused(&[
        ("rediss://:secret@h?cert=c", "both or none"),
        ("rediss://:secret@h?key=c", "both or none"),
        ("rediss://:secret@h?ca=", "\"ca\" is empty"),
        ("rediss://:secret@h?ca=a&ca=b", "\"ca\" is given twice"),
        ("rediss://:secret@h?cacert=a", "\"cacert\" is unknown; there are ca, cert, key"),
        ("rediss://:secret@h?db=1", "\"db\" is unknown"),
        ("redis://:secret@h?ca=a", "\"ca\" is unknown"),
        ("rediss://:secret@h#insecure", "always checked"),
        ("rediss://:secret@h/x", "database is not a number"),
        ("rediss-sentinel://:secret@h/main?cert=c", "both or none"),
        ("redis-cluster://:secret@h?ca=a", "\"ca\" is unknown; there are anchor"),
    ]);
}
