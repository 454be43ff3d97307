//! Clips made by ffmpeg, kept under `target/test-media` so that each is made once.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::target_folder;

/// An mp4 with a moving test picture (H.264, 25 frames a second, a keyframe every `gop` frames) of `size`, such as
/// `"320x180"`, and a tone (AAC 44.1 kHz stereo) if `audio`.
pub fn clip(seconds: u32, gop: u32, audio: bool, size: &str) -> PathBuf {
    let name = format!("clip-{seconds}s-g{gop}-{}-{size}.mp4", if audio { "tone" } else { "silent" });
    made(&name, |command| {
        command.args(["-f", "lavfi", "-i", &format!("testsrc2=size={size}:rate=25:duration={seconds}")]);
        if audio {
            command.args(["-f", "lavfi", "-i", &format!("sine=frequency=440:sample_rate=44100:duration={seconds}")]);
            command.args(["-c:a", "aac", "-b:a", "96k", "-ac", "2"]);
        }
        command
            .args(["-c:v", "libx264", "-preset", "ultrafast", "-profile:v", "baseline", "-pix_fmt", "yuv420p"])
            .args(["-g", &gop.to_string(), "-keyint_min", &gop.to_string(), "-sc_threshold", "0"])
            .args(["-b:v", "600k", "-maxrate", "600k", "-bufsize", "1200k", "-movflags", "+faststart"]);
    })
}

/// A file under `target/test-media` that ffmpeg makes at the first call; `arguments` adds all but the output's name.
pub fn made(name: &str, arguments: impl FnOnce(&mut Command)) -> PathBuf {
    let folder = target_folder().join("test-media");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name);
    if path.is_file() {
        return path;
    }
    // Several test processes may make the same file: each writes its own, the last rename wins.
    let fresh = tempfile::Builder::new().prefix("making-").suffix(&format!("-{name}")).tempfile_in(&folder).unwrap();
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "error", "-y"]);
    arguments(&mut command);
    let output = command.arg(fresh.path()).output().expect("ffmpeg is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fresh.persist(&path).unwrap();
    path
}

/// What ffprobe says of a file's streams: `(codec_type, codec_name)`, in order.
pub fn streams(path: &Path) -> Vec<(String, String)> {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-show_entries", "stream=codec_type,codec_name", "-of", "json"])
        .arg(path)
        .output()
        .expect("ffprobe is installed");
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    answer["streams"]
        .as_array()
        .map(|list| list.iter().map(|stream| (text(&stream["codec_type"]), text(&stream["codec_name"]))).collect())
        .unwrap_or_default()
}

#[test]
fn a_clip_is_made_once_and_has_picture_and_sound() {
    let path = clip(2, 50, true, "320x180");
    let made_at = std::fs::metadata(&path).unwrap().modified().unwrap();
    let kinds: Vec<_> = streams(&path).into_iter().map(|(kind, codec)| format!("{kind} {codec}")).collect();
    assert_eq!(kinds, ["video h264", "audio aac"]);
    assert_eq!(clip(2, 50, true, "320x180"), path);
    assert_eq!(std::fs::metadata(&path).unwrap().modified().unwrap(), made_at);
    assert_eq!(streams(&clip(2, 50, false, "320x180")).len(), 1);
}
