//! Several videos, one after the other.

use std::path::Path;
use std::time::Duration;

use jadwalstream::live::keeper::files::End;
use serde_json::json;

use super::{KEY, NAME, Run, item, outcome_within, sending, status_within};
use crate::support::clip::clip;
use crate::support::nginx::Platform;

#[tokio::test]
async fn a_silent_item_and_unequal_items_play_one_after_the_other() {
    let platform = Platform::start();
    let mut run = Run::new(
        &platform.rtmp_url("record"),
        KEY,
        vec![item(&clip(3, 25, false, "320x180"), 3.0, false), item(&clip(4, 25, true, "640x360"), 4.0, true)],
    );
    run.plan["loop"] = json!(false);
    let keeper = run.start().await;
    let first = platform.arrival(NAME, Duration::from_secs(5)).await.expect("a silent track is made");
    assert_eq!((first.size, first.audio_codec.as_deref()), (Some((320, 180)), Some("AAC")));
    let outcome = outcome_within(&keeper, 20.0).await;
    assert_eq!((outcome.outcome, outcome.restarts, outcome.attempts), (End::Completed, 0, 2));
    assert!((6.5..8.0).contains(&outcome.out_time), "{outcome:?}");
    assert_eq!(platform.recordings(NAME).len(), 2);
}

#[tokio::test]
async fn equal_items_play_in_a_loop_over_one_connection() {
    let platform = Platform::start();
    let mut run = Run::new(
        &platform.rtmp_url("record"),
        KEY,
        vec![item(&clip(2, 25, true, "320x180"), 2.0, true), item(&clip(3, 25, true, "320x180"), 3.0, true)],
    );
    run.plan["together"] = json!(true);
    run.plan["order"] = json!("shuffled");
    run.stop_in(9.0);
    let keeper = run.start().await;
    let outcome = outcome_within(&keeper, 15.0).await;
    assert_eq!((outcome.outcome, outcome.attempts), (End::Completed, 1));
    assert!(outcome.out_time > 7.0, "{outcome:?}");
    let recordings = platform.recordings(NAME);
    assert_eq!(recordings.len(), 1);
    assert!(backward_steps(&recordings[0]) == 0);
}

/// Packets whose decoding time is before that of the one before, in any stream.
fn backward_steps(path: &Path) -> usize {
    let output = std::process::Command::new("ffprobe")
        .args(["-v", "error", "-show_entries", "packet=stream_index,dts", "-of", "csv=p=0"])
        .arg(path)
        .output()
        .unwrap();
    let mut last = [i64::MIN; 2];
    let mut steps = 0;
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let mut numbers = line.split(',').map_while(|number| number.parse::<i64>().ok());
        let (Some(stream), Some(dts)) = (numbers.next(), numbers.next()) else { continue };
        let stream = stream as usize;
        steps += usize::from(dts < last[stream]);
        last[stream] = dts;
    }
    assert!(last.iter().all(|dts| *dts > 0), "picture and sound were looked at");
    steps
}

#[tokio::test]
async fn a_file_played_once_goes_on_where_it_broke_off() {
    let platform = Platform::start();
    let mut run = Run::new(&platform.rtmp_url("live"), KEY, vec![item(&clip(12, 25, true, "320x180"), 12.0, true)]);
    run.plan["loop"] = json!(false);
    let keeper = run.start().await;
    sending(&keeper).await;
    status_within(&keeper, 10.0, |status| status.out_time > 6.0).await.unwrap();
    assert!(platform.throw_out("live", NAME));
    let outcome = outcome_within(&keeper, 20.0).await;
    assert_eq!((outcome.outcome, outcome.restarts), (End::Completed, 1));
    // Two seconds are shown twice, not six.
    assert!((12.0..16.5).contains(&outcome.out_time), "{outcome:?}");
}
