//! Whether ffmpeg can write into pictures on this box: that takes a font, which not every server has.

use std::time::Duration;

use super::cage::{self, Cage, Job, Program};
use super::{Tools, words};

impl Tools {
    /// Whether a text can be drawn. Looked at anew until it can: a font may be installed meanwhile.
    pub async fn can_write(&self) -> bool {
        if self.writes.get().is_some() {
            return true;
        }
        let filter = "drawtext=font=Sans:text=abc";
        let mut arguments = words(&["-hide_banner", "-loglevel", "error", "-nostdin", "-f", "lavfi"]);
        arguments.extend(words(&["-i", "color=s=64x64:d=0.1", "-frames:v", "1", "-vf", filter, "-f", "null", "-"]));
        let job = Job {
            program: Program::File(&self.ffmpeg),
            arguments,
            cage: Cage::default(),
            input: None,
            timeout: Duration::from_secs(30),
            output_limit: 1024,
        };
        match cage::run(&self.launcher, job).await {
            Ok(_) => {
                // Two that find out at once say the same.
                let _ = self.writes.set(());
                true
            }
            Err(failure) => {
                tracing::info!(%failure, "ffmpeg cannot draw letters");
                false
            }
        }
    }
}
