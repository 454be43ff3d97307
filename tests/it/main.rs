//! The one test binary: sentences over the real surface, on real parts (nginx with RTMP, ffmpeg, Chromium).

mod keeper;
mod accounts;
mod media;
mod support;
