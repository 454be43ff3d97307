//! The tools on real files, made by the real ffmpeg.

use std::process::Command;
use std::sync::LazyLock;

use rstest::rstest;
use tempfile::TempDir;

use super::*;

fn tools() -> Tools {
    Tools::new("ffmpeg", "ffprobe", Launcher::None)
}

fn tenant() -> crate::auth::Tenant {
    crate::auth::Tenant::parse("al").unwrap()
}

/// Runs the system's ffmpeg to make a file to test with.
fn make(arguments: &str, path: &Path) {
    let status = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-y"])
        .args(arguments.split_whitespace())
        .arg(path)
        .status()
        .unwrap();
    assert!(status.success(), "{arguments}");
}

const PICTURE: &str = "-f lavfi -i testsrc2=s=320x180:r=30";
const SOUND: &str = "-f lavfi -i sine=r=48000";
const H264: &str = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p";

/// Six seconds with a keyframe every two, in an mp4.
static SHORT: LazyLock<(TempDir, PathBuf)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("short.mp4");
    make(&format!("{PICTURE} {SOUND} -t 6 {H264} -profile:v high -g 60 -sc_threshold 0 -c:a aac -ac 2"), &path);
    (folder, path)
});

fn short() -> LocalFile {
    LocalFile::for_test(SHORT.1.clone())
}

fn head(path: &Path) -> Vec<u8> {
    let mut bytes = std::fs::read(path).unwrap();
    bytes.truncate(sniff::HEAD);
    bytes
}

#[tokio::test]
async fn the_programs_of_this_machine_are_found() {
    let versions = tools().check().await.unwrap();
    assert!(numbers(&versions.ffmpeg).is_none_or(|found| found >= OLDEST), "{versions:?}");
    assert_eq!(versions.ffmpeg, versions.ffprobe);
}

#[tokio::test]
async fn a_missing_program_is_named() {
    let tools = Tools::new("/nowhere/ffmpeg", "ffprobe", Launcher::None);
    let error = tools.check().await.unwrap_err();
    assert_eq!(error.status(), 502);
    assert!(error.message().to_string().contains("/nowhere/ffmpeg"), "{}", error.message());
}

#[tokio::test]
async fn an_old_program_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ffmpeg");
    std::fs::write(&path, "#!/bin/sh\necho ffmpeg version 3.4.8-0ubuntu0.2 Copyright\n").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let error = Tools::new(&path, "ffprobe", Launcher::None).check().await.unwrap_err();
    let text = error.message().to_string();
    assert!(text.contains("3.4.8") && text.contains("4.2"), "{text}");
}

#[rstest]
#[case("5.1.9-0+deb12u1", Some((5, 1)))]
#[case("n6.0", Some((6, 0)))]
#[case("7.0.2-static", Some((7, 0)))]
#[case("4.2.2", Some((4, 2)))]
#[case("8", Some((8, 0)))]
#[case("N-109542-g1bf1d3b", None)]
fn versions_of_every_spelling_are_read(#[case] version: &str, #[case] expected: Option<(u32, u32)>) {
    assert_eq!(numbers(version), expected);
}

#[rstest]
#[case::mp4("a.mp4", "-c:a aac", Container::Mp4)]
#[case::fragmented("f.mp4", "-c:a aac -movflags +frag_keyframe+empty_moov", Container::Mp4)]
#[case::mov("a.mov", "-c:a aac", Container::Mov)]
#[case::matroska("a.mkv", "-c:a aac", Container::Matroska)]
#[case::flv("a.flv", "-c:a aac", Container::Flv)]
#[case::ts("a.ts", "-c:a aac", Container::MpegTs)]
#[case::avi("a.avi", "-c:a libmp3lame -ar 44100", Container::Avi)]
#[tokio::test]
async fn every_container_is_probed(#[case] name: &str, #[case] sound: &str, #[case] container: Container) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    make(&format!("{PICTURE} {SOUND} -t 6 {H264} -g 60 -sc_threshold 0 {sound} -ac 2"), &path);
    assert_eq!(sniff(&head(&path)), Some(container));

    let facts = tools().probe(&LocalFile::for_test(path.clone()), container).await.unwrap();
    let size = std::fs::metadata(&path).unwrap().len();
    assert_eq!((facts.container, facts.size), (container, size));
    assert!((5.9..6.3).contains(&facts.duration), "{facts:?}");
    assert!((facts.bitrate as f64 / (size as f64 * 8.0 / 6.0) - 1.0).abs() < 0.1, "{facts:?}");
    let video = &facts.video;
    assert_eq!((video.codec.as_str(), video.width, video.height), ("h264", 320, 180));
    assert_eq!((video.pixel_format.as_deref(), video.bit_depth), (Some("yuv420p"), 8));
    assert_eq!((video.frame_rate, video.constant_frame_rate), (30.0, Some(true)));
    assert!(video.keyframe_interval.is_some_and(|interval| (interval - 2.0).abs() < 0.05), "{facts:?}");
    assert_eq!((video.rotation, video.interlaced), (0, false));
    let audio = facts.audio.as_ref().unwrap();
    assert_eq!((audio.codec.as_str(), audio.channels), (if container == Container::Avi { "mp3" } else { "aac" }, 2));
    assert!(verdict(&facts).ready);
    assert!(compatible(&facts, &facts));
}

#[tokio::test]
async fn a_webm_is_probed_and_not_ready() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.webm");
    make(&format!("{PICTURE} {SOUND} -t 2 -c:v libvpx -deadline realtime -cpu-used 8 -c:a libopus"), &path);
    assert_eq!(sniff(&head(&path)), Some(Container::Webm));
    let facts = tools().probe(&LocalFile::for_test(path), Container::Webm).await.unwrap();
    let verdict = super::verdict(&facts);
    let codes: Vec<Code> = verdict.findings.iter().map(|finding| finding.code).collect();
    assert!(!verdict.ready && codes.contains(&Code::VideoCodec) && codes.contains(&Code::AudioCodec), "{verdict:?}");
}

#[tokio::test]
async fn an_avi_with_reordered_frames_cannot_go_by_copy() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("b.avi");
    make(&format!("{PICTURE} {SOUND} -t 2 {H264} -bf 3 -g 60 -c:a libmp3lame -ar 44100"), &path);
    let facts = tools().probe(&LocalFile::for_test(path.clone()), Container::Avi).await.unwrap();
    let verdict = super::verdict(&facts);
    assert!(!verdict.ready && verdict.findings[0].code == Code::MissingTimes, "{verdict:?} {facts:?}");
    let copied = Command::new("ffmpeg")
        .args(["-v", "quiet", "-nostdin", "-i"])
        .arg(&path)
        .args(["-c", "copy", "-f", "flv", "-y", "/dev/null"])
        .status()
        .unwrap();
    assert!(!copied.success(), "what the verdict says is so");
}

#[tokio::test]
async fn a_matroska_without_a_length_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("live.mkv");
    make(&format!("{PICTURE} -t 5 {H264} -live 1 -f matroska"), &path);
    let facts = tools().probe(&LocalFile::for_test(path), Container::Matroska).await.unwrap();
    assert!((4.8..5.2).contains(&facts.duration), "{facts:?}");
    assert!(facts.audio.is_none());
}

/// Writes a length, and perhaps a time unit, into every header of an mp4 that has one.
fn claim(path: &Path, movie_unit: Option<u32>, length: impl Fn(u32) -> u32) {
    let mut bytes = std::fs::read(path).unwrap();
    let word = |bytes: &[u8], at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    let found = |bytes: &[u8], name: &[u8]| -> Vec<usize> {
        // Only those of version 0, as ffmpeg writes short ones.
        (4..bytes.len() - 32).filter(|at| &bytes[*at..at + 4] == name && word(bytes, at + 4) >> 24 == 0).collect()
    };
    let mvhd = found(&bytes, b"mvhd")[0];
    if let Some(unit) = movie_unit {
        bytes[mvhd + 16..mvhd + 20].copy_from_slice(&unit.to_be_bytes());
    }
    let unit = word(&bytes, mvhd + 16);
    bytes[mvhd + 20..mvhd + 24].copy_from_slice(&length(unit).to_be_bytes());
    for at in found(&bytes, b"tkhd") {
        bytes[at + 24..at + 28].copy_from_slice(&length(unit).to_be_bytes());
    }
    for at in found(&bytes, b"mdhd") {
        let unit = word(&bytes, at + 16);
        bytes[at + 20..at + 24].copy_from_slice(&length(unit).to_be_bytes());
    }
    std::fs::write(path, bytes).unwrap();
}

#[rstest]
#[case::twelve_hours(6, None, |unit: u32| unit * 43_200)]
#[case::three_seconds(1, None, |unit: u32| unit * 3)]
#[case::half_a_minute(6, None, |unit: u32| unit * 30)]
#[case::a_century(6, Some(1), |_: u32| 0xffff_fff0)]
#[case::a_long_one(100, None, |unit: u32| unit * 43_200)]
#[case::a_long_one_claims_a_moment(100, None, |unit: u32| unit)]
#[tokio::test]
async fn a_header_that_lies_about_its_length_changes_nothing(
    #[case] seconds: u32,
    #[case] movie_unit: Option<u32>,
    #[case] length: fn(u32) -> u32,
) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lie.mp4");
    // Nothing moves for the first minute.
    let picture = "-f lavfi -i testsrc2=s=160x90:r=15,loop=loop=900:size=1:start=0";
    let picture = if seconds > 60 { picture } else { PICTURE };
    make(&format!("{picture} {SOUND} -t {seconds} {H264} -g 60 -c:a aac -ac 2"), &path);
    let file = LocalFile::for_test(path.clone());
    let honest = tools().probe(&file, Container::Mp4).await.unwrap();
    assert!((honest.duration / f64::from(seconds) - 1.0).abs() < 0.05, "{honest:?}");

    claim(&path, movie_unit, length);
    let facts = tools().probe(&file, Container::Mp4).await.unwrap();
    assert!((facts.duration / honest.duration - 1.0).abs() < 0.1, "{facts:?}");
    assert!((facts.bitrate as f64 / honest.bitrate as f64 - 1.0).abs() < 0.1, "{facts:?}");
    assert!(facts.video.duration.is_none_or(|told| told <= facts.duration), "{facts:?}");
    assert_eq!(facts.video.frame_rate, honest.video.frame_rate);
}

#[tokio::test]
async fn pictures_count_by_the_pace_that_they_are_sent_at_not_that_they_are_shown_at() {
    let folder = tempfile::tempdir().unwrap();
    let (honest, lie) = (folder.path().join("honest.ts"), folder.path().join("lie.ts"));
    make(&format!("{PICTURE} -t 20 {H264} -bf 3 -g 50"), &honest);
    let probe = async |path: &Path| tools().probe(&LocalFile::for_test(path.to_owned()), Container::MpegTs).await;
    let honest_facts = probe(&honest).await.unwrap();
    assert!((19.0..21.0).contains(&honest_facts.duration));
    // Half an hour by the times of showing; ffmpeg sends by the others, all of it within 20 seconds.
    make(&format!("-i {} -c copy -bsf:v setts=pts=PTS*100:dts=DTS", honest.display()), &lie);
    let lying = probe(&lie).await.unwrap();
    assert!(lying.bitrate as f64 > honest_facts.bitrate as f64 * 0.7, "{lying:?} {honest_facts:?}");
    // Stills of unequal length, as the encoder leaves them: no reason to refuse a file.
    let stills = "-f lavfi -i testsrc2=s=320x180:r=25:d=26 -vf select='eq(n,0)+eq(n,100)+eq(n,125)+eq(n,450)+eq(n,649)' -vsync vfr";
    make(&format!("{stills} -c:v libx264 -pix_fmt yuv420p"), &folder.path().join("stills.mp4"));
    let stills = LocalFile::for_test(folder.path().join("stills.mp4"));
    assert!(tools().probe(&stills, Container::Mp4).await.is_ok());
}

#[tokio::test]
async fn a_single_frame_lasts_as_long_as_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("one.mp4");
    make(&format!("-f lavfi -i testsrc2=s=320x180:r=1 -frames:v 1 {H264}"), &path);
    let facts = tools().probe(&LocalFile::for_test(path), Container::Mp4).await.unwrap();
    assert!((0.9..1.1).contains(&facts.duration), "{facts:?}");
}

#[tokio::test]
async fn a_sound_that_outlasts_the_picture_counts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sound.mp4");
    make(&format!("-t 2 {PICTURE} {SOUND} -t 90 {H264} -c:a aac -ac 2"), &path);
    let facts = tools().probe(&LocalFile::for_test(path), Container::Mp4).await.unwrap();
    assert!((89.0..91.0).contains(&facts.duration), "{facts:?}");
}

#[tokio::test]
async fn long_gaps_far_into_a_file_are_seen() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long.mp4");
    let keys =
        "-force_key_frames expr:if(lt(t,100),gte(t,n_forced*2),eq(n_forced,50)*gte(t,100)+gte(t,100+(n_forced-50)*12))";
    make(&format!("-f lavfi -i color=s=64x36:r=10 -t 240 {H264} -g 9999 -sc_threshold 0 {keys}"), &path);
    let facts = tools().probe(&LocalFile::for_test(path), Container::Mp4).await.unwrap();
    assert!(facts.video.keyframe_interval.is_some_and(|interval| interval > 11.0), "{facts:?}");
}

#[tokio::test]
async fn a_phone_video_is_known_to_lie_on_its_side() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("turned.mp4");
    let source = SHORT.1.to_str().unwrap();
    make(&format!("-i {source} -c copy -metadata:s:v rotate=90"), &path);
    let facts = tools().probe(&LocalFile::for_test(path), Container::Mp4).await.unwrap();
    assert!([90, 270].contains(&facts.video.rotation), "{facts:?}");
    assert!(!verdict(&facts).ready);
}

#[tokio::test]
async fn cover_art_is_not_taken_for_the_picture() {
    let folder = tempfile::tempdir().unwrap();
    let cover = folder.path().join("cover.png");
    make("-f lavfi -i testsrc2=s=100x100 -frames:v 1", &cover);
    let path = folder.path().join("cover.mp4");
    let (video, cover) = (SHORT.1.to_str().unwrap(), cover.to_str().unwrap());
    make(&format!("-i {video} -i {cover} -map 1 -map 0 -c copy -disposition:v:0 attached_pic"), &path);
    let file = LocalFile::for_test(path);
    let facts = tools().probe(&file, Container::Mp4).await.unwrap();
    assert_eq!((facts.video.codec.as_str(), facts.video.width), ("h264", 320));
    assert_eq!(tools().frame(&file, Container::Mp4, 1.0).await.unwrap().width, 320);
}

#[tokio::test]
async fn sound_alone_is_no_video() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sound.mp4");
    make(&format!("{SOUND} -t 1 -c:a aac"), &path);
    let error = tools().probe(&LocalFile::for_test(path), Container::Mp4).await.unwrap_err();
    assert!(matches!(error, Error::WrongKind(ref message) if message.id == "media-no-picture"), "{error}");
}

#[tokio::test]
async fn a_picture_too_large_for_any_platform_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wide.mp4");
    make(&format!("-f lavfi -i color=s=8208x64:r=1 -t 1 {H264}"), &path);
    let error = tools().probe(&LocalFile::for_test(path), Container::Mp4).await.unwrap_err();
    assert!(matches!(error, Error::WrongKind(ref message) if message.id == "media-too-many-pixels"), "{error}");
}

#[tokio::test]
async fn rubbish_behind_good_first_bytes_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let good = std::fs::read(&SHORT.1).unwrap();
    let cut = good[..sniff::HEAD].to_vec();
    let playlist = [b"\0\0\0\x10ftypisom\0\0\0\0".as_slice(), b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n"].concat();
    for (name, bytes) in [("cut.mp4", cut), ("list.mp4", playlist)] {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(sniff(&head(&path)), Some(Container::Mp4));
        let error = tools().probe(&LocalFile::for_test(path), Container::Mp4).await.unwrap_err();
        assert!(matches!(error, Error::WrongKind(_)), "{name}: {error}");
    }
}

/// Even a playlist that got past the door is not read as one.
#[tokio::test]
async fn a_disguised_playlist_is_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let neighbour = SHORT.1.to_str().unwrap();
    let playlists = [
        format!("#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXTINF:6,\n{neighbour}\n#EXT-X-ENDLIST\n"),
        "#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXTINF:6,\nshort.mp4\n#EXT-X-ENDLIST\n".to_owned(),
        format!("ffconcat version 1.0\nfile '{neighbour}'\n"),
        format!(
            "<?xml version=\"1.0\"?>\n<MPD><Period><AdaptationSet><BaseURL>{neighbour}</BaseURL></AdaptationSet></Period></MPD>"
        ),
        "v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=video 1234 RTP/AVP 96\n".to_owned(),
    ];
    std::fs::copy(&SHORT.1, folder.path().join("short.mp4")).unwrap();
    let path = folder.path().join("x.mp4");
    for playlist in playlists {
        std::fs::write(&path, &playlist).unwrap();
        assert_eq!(sniff(playlist.as_bytes()), None, "{playlist}");
        let file = LocalFile::for_test(path.clone());
        // Mov and webm are opened by the demuxers of their twins.
        for container in Container::ALL.into_iter().filter(|it| ![Container::Mov, Container::Webm].contains(it)) {
            let error = tools().probe(&file, container).await.unwrap_err();
            assert!(matches!(error, Error::WrongKind(_)), "{container:?} {playlist}: {error}");
            assert!(tools().frame(&file, container, 0.0).await.is_err(), "{container:?} {playlist}");
        }
    }
}

/// A file whose index says "my samples lie in that other file" (QuickTime's alias) does not get them.
#[tokio::test]
async fn samples_in_a_neighbours_file_are_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let neighbour = folder.path().join("neighbour.mov");
    make(&format!("{PICTURE} -t 1 {H264} -fflags +bitexact"), &neighbour);
    let bytes = std::fs::read(&neighbour).unwrap();

    // The data reference "in this file" (url , flag 1) becomes an alias record that names the neighbour.
    let at = bytes.windows(12).position(|window| window == b"\0\0\0\x0curl \0\0\0\x01").unwrap();
    let mut alias = b"alis\0\0\0\0".to_vec();
    let mut record = vec![0u8; 150];
    record[4..8].copy_from_slice(&[0, 150, 0, 2]);
    let name = b"neighbour.mov";
    record[50] = name.len() as u8;
    record[51..51 + name.len()].copy_from_slice(name);
    record[130..134].copy_from_slice(&[0, 1, 0, 1]);
    let full = neighbour.to_str().unwrap().as_bytes();
    record.extend([0, 2, 0, full.len() as u8]);
    record.extend(full);
    if full.len() % 2 == 1 {
        record.push(0);
    }
    record.extend([0, 18, 0, 0, 0xff, 0xff, 0, 0]);
    alias.extend(record);
    let mut entry = (alias.len() as u32 + 4).to_be_bytes().to_vec();
    entry.extend(alias);
    let grown = entry.len() as u32 - 12;

    let mut crafted = [&bytes[..at], &entry, &bytes[at + 12..]].concat();
    for kind in [b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"] {
        let at = crafted.windows(4).position(|window| window == kind).unwrap() - 4;
        let size = u32::from_be_bytes(crafted[at..at + 4].try_into().unwrap()) + grown;
        crafted[at..at + 4].copy_from_slice(&size.to_be_bytes());
    }
    // Its own samples are wiped, so that every picture that comes out is the neighbour's.
    let data = crafted.windows(4).position(|window| window == b"mdat").unwrap();
    let index = crafted.windows(4).position(|window| window == b"moov").unwrap() - 4;
    assert!(data < index);
    crafted[data + 4..index].fill(0);
    let path = folder.path().join("x.mov");
    std::fs::write(&path, crafted).unwrap();

    // The trick is a real one: asked to, ffmpeg follows it.
    let followed = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-enable_drefs", "1", "-use_absolute_path", "1", "-i"])
        .arg(&path)
        .args(["-frames:v", "1", "-f", "null", "-"])
        .output()
        .unwrap();
    assert!(followed.stderr.is_empty(), "{}", String::from_utf8_lossy(&followed.stderr));

    let file = LocalFile::for_test(path);
    assert!(tools().frame(&file, Container::Mov, 0.0).await.is_err());
}

#[tokio::test]
async fn a_frame_is_a_clean_picture_of_modest_width() {
    let folder = tempfile::tempdir().unwrap();
    let wide = folder.path().join("wide.mp4");
    make(&format!("-f lavfi -i testsrc2=s=1920x1080:r=10 -t 1 {H264}"), &wide);
    let picture = tools().frame(&LocalFile::for_test(wide), Container::Mp4, 0.5).await.unwrap();
    assert_eq!((picture.kind, picture.width, picture.height), (PictureKind::Jpeg, 1280, 720));

    let first = tools().frame(&short(), Container::Mp4, 0.0).await.unwrap();
    let later = tools().frame(&short(), Container::Mp4, 4.0).await.unwrap();
    assert_eq!((first.width, first.height), (320, 180));
    assert_ne!(first.bytes, later.bytes);
}

#[tokio::test]
async fn there_is_no_frame_behind_the_end() {
    let error = tools().frame(&short(), Container::Mp4, 500.0).await.unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error}");
}

#[tokio::test]
async fn the_demo_has_something_to_show() {
    let folder = tempfile::tempdir().unwrap();
    let sample = tools().sample_clips(&tenant(), folder.path()).await.unwrap();
    assert_eq!((sample.clips.len(), sample.pictures.len()), (3, 2));
    let mut ready = Vec::new();
    for clip in &sample.clips {
        assert_eq!(sniff(&head(&clip.path)), Some(clip.container));
        let facts = tools().probe(&LocalFile::for_test(clip.path.clone()), clip.container).await.unwrap();
        assert!((10.0..20.0).contains(&facts.duration), "{facts:?}");
        assert_eq!(
            (facts.video.profile.as_deref(), facts.audio.as_ref().map(|audio| audio.channels)),
            (Some("High"), Some(2))
        );
        let verdict = super::verdict(&facts);
        if verdict.ready {
            assert!(verdict.findings.is_empty(), "{:?} {facts:?}", verdict.findings);
        }
        ready.push(verdict.ready);
    }
    assert_eq!(ready, [true, true, false]);
    for picture in &sample.pictures {
        assert_eq!((picture.picture.width, picture.picture.height), (1280, 720));
    }
}

#[tokio::test]
async fn the_same_ffmpeg_makes_the_same_demo() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = tools().sample_clips(&tenant(), one.path()).await.unwrap();
    let second = tools().sample_clips(&tenant(), other.path()).await.unwrap();
    for (a, b) in first.clips.iter().zip(&second.clips) {
        assert!(std::fs::read(&a.path).unwrap() == std::fs::read(&b.path).unwrap(), "{:?}", a.path);
    }
    for (a, b) in first.pictures.iter().zip(&second.pictures) {
        assert!(a.picture == b.picture);
    }
}

#[tokio::test]
async fn a_picture_over_20_mib_is_refused_unread() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.jpg");
    std::fs::File::create(&path).unwrap().set_len(picture::MOST_BYTES as u64 + 1).unwrap();
    let error = tools().fitted_picture(&LocalFile::for_test(path.clone()), 1280).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge(_)), "{error}");
    std::fs::File::options().write(true).open(&path).unwrap().set_len(picture::MOST_BYTES as u64).unwrap();
    let error = tools().fitted_picture(&LocalFile::for_test(path), 1280).await.unwrap_err();
    assert!(matches!(error, Error::WrongKind(_)), "{error}");
}
