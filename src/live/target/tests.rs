use super::*;

fn refusal(url: &str) -> String {
    match TargetUrl::parse(url) {
        Err(Error::Invalid(fields)) => fields[0].message.id.to_string(),
        other => panic!("{url}: {other:?}"),
    }
}

#[test]
fn good_addresses_come_back_in_one_spelling() {
    for (typed, expected) in [
        ("rtmp://a.rtmp.youtube.com/live2", "rtmp://a.rtmp.youtube.com/live2"),
        (" RTMP://A.Example.COM:1935/live/ ", "rtmp://a.example.com:1935/live"),
        ("rtmps://live-api-s.facebook.com:443/rtmp/", "rtmps://live-api-s.facebook.com:443/rtmp"),
        ("rtmp://host:19350/app?token=a", "rtmp://host:19350/app?token=a"),
        ("rtmp://[2001:DB8::1]:1936/app", "rtmp://[2001:db8::1]:1936/app"),
        ("srt://host:9000", "srt://host:9000"),
        ("srt://host:9000?mode=caller&latency=200000&transtype=live", "srt://host:9000?latency=200000"),
    ] {
        let url = TargetUrl::parse(typed).unwrap();
        assert_eq!(url.to_string(), expected);
        assert_eq!(TargetUrl::parse(expected).unwrap(), url);
    }
}

#[test]
fn bad_addresses_are_refused_with_their_reason() {
    for (typed, expected) in [
        ("", "live-url-scheme"),
        ("a.rtmp.youtube.com/live2", "live-url-scheme"),
        ("http://host/live", "live-url-scheme"),
        ("file:///etc/passwd", "live-url-scheme"),
        ("rtmpt://host/live", "live-url-scheme"),
        ("rtmp://user:pass@host/live", "live-url-userinfo"),
        ("rtmp://host:22/live", "live-url-port"),
        ("rtmp://host:25/live", "live-url-port"),
        ("rtmp://host:0/live", "live-url-port"),
        ("rtmp://host:99999/live", "live-url-port"),
        ("rtmp://host:+80/live", "live-url-port"),
        ("rtmp:///live", "live-url-host"),
        ("rtmp://-host/live", "live-url-host"),
        ("rtmp://[::1/live", "live-url-host"),
        ("rtmp://[fe80::1%eth0]/live", "live-url-host"),
        ("rtmp://ho|st/live", "live-url-host"),
        ("rtmp://host", "live-url-path"),
        ("rtmp://host/", "live-url-path"),
        ("rtmp://host/a/../b", "live-url-path"),
        ("rtmp://host/li ve", "live-url-characters"),
        ("rtmp://host/live\n-y", "live-url-characters"),
        ("rtmp://host/live\0", "live-url-characters"),
        ("rtmp://hös.t/live", "live-url-characters"),
        ("rtmp://host/live#x", "live-url-characters"),
        ("srt://host", "live-url-port-missing"),
        ("srt://host:9000/path", "live-url-srt-path"),
        ("srt://host:9000?mode=listener", "live-url-srt-option"),
        ("srt://host:9000?streamid=abc", "live-url-srt-secret"),
        ("srt://host:9000?passphrase=abcdefghij", "live-url-srt-secret"),
        ("srt://host:9000?latency=1;x", "live-url-srt-option"),
    ] {
        assert_eq!(refusal(typed), expected, "{typed}");
    }
}

#[test]
fn keys_are_printable_and_never_printed() {
    for bad in ["a b", "a\"b", "a'b", "a\nb", "ключ", "a\\b", "a<b", "//", &"x".repeat(513)] {
        let error = StreamKey::parse(bad).unwrap_err();
        assert_eq!(error.status(), 422);
        assert!(!format!("{error:?}").contains(bad), "{bad}");
    }
    let key = StreamKey::parse(" live_1234567890abcd?bandwidthtest=true ").unwrap();
    assert_eq!(format!("{key:?}"), "StreamKey(****)");
    assert_eq!(key.masked(), "****abcd");
    for bare in ["short", "streamid=abc&passphrase=0123456789abcdef", "name?token=0123456789abcdef"] {
        assert_eq!(StreamKey::parse(bare).unwrap().masked(), "****");
    }
}

#[test]
fn the_name_in_a_full_address_is_found_whatever_its_query_holds() {
    let split = |address: &str| {
        let (place, name) = TargetUrl::parse(address).unwrap().split_stream_name()?;
        Some(format!("{place} {name}"))
    };
    for (address, found) in [
        ("rtmp://host/live/KEY", Some("rtmp://host/live KEY")),
        ("rtmp://host/live/KEY?sig=aabb", Some("rtmp://host/live KEY?sig=aabb")),
        ("rtmp://host/live/KEY?sig=aa/bb", Some("rtmp://host/live KEY?sig=aa/bb")),
        ("rtmp://host/live/KEY?x=http://a/b", Some("rtmp://host/live KEY?x=http://a/b")),
        ("rtmp://host/live/part/KEY?a=/b", Some("rtmp://host/live/part KEY?a=/b")),
        ("rtmp://host/live?a=1/KEY", Some("rtmp://host/live?a=1 KEY")),
        ("rtmp://host/live?a=1", None),
        ("rtmp://host/live", None),
    ] {
        assert_eq!(split(address).as_deref(), found, "{address}");
    }
}

#[test]
fn address_and_key_are_joined_by_one_slash() {
    let url = TargetUrl::parse("rtmp://host/live/").unwrap();
    for key in ["abc", "/abc"] {
        let key = StreamKey::parse(key).unwrap();
        assert_eq!(joined(&url, Some(&key)).expose_secret(), "rtmp://host/live/abc");
    }
}

#[test]
fn platforms_have_their_address_or_ask_for_one() {
    for platform in Platform::ALL {
        assert_eq!(Platform::parse(platform.code()), Some(platform));
        assert_eq!(serde_json::to_string(&platform).unwrap(), format!("\"{}\"", platform.code()));
        assert_eq!(platform.url(None).is_ok(), platform.default_url().is_some());
        assert!(platform.url(Some("rtmp://host/app")).is_ok());
    }
}

#[test]
fn a_key_may_be_left_out_only_where_the_address_is_complete() {
    let check = |url: &str, platform| TargetUrl::parse(url).unwrap().check_key(platform, None).is_ok();
    assert!(check("rtmp://host/live/stream", Platform::Custom));
    assert!(check("srt://host:9000", Platform::Custom));
    assert!(!check("rtmp://host/live", Platform::Custom));
    assert!(!check("rtmp://host/live/x", Platform::Tiktok));
}

#[test]
fn one_key_has_one_lock_however_it_is_spelled() {
    let lock = |url: &str, key: &str| lock_name(&TargetUrl::parse(url).unwrap(), Some(&StreamKey::parse(key).unwrap()));
    let youtube = lock("rtmp://a.rtmp.youtube.com/live2", "aaaa-bbbb");
    assert_eq!(youtube, lock("rtmps://b.rtmps.youtube.com:443/live2?backup=1", "/aaaa-bbbb"));
    assert_ne!(youtube, lock("rtmp://a.rtmp.youtube.com/live2", "aaaa-bbbc"));
    let twitch = lock("rtmp://live.twitch.tv/app", "live_1");
    assert_eq!(twitch, lock("rtmp://LIVE.twitch.tv/app/", "live_1?bandwidthtest=true"));
    assert_ne!(lock("rtmp://host:1935/a", "k"), lock("rtmp://host:1936/a", "k"));
    assert!(!youtube.contains("aaaa"));
}
