//! The one test binary: sentences over the real surface, on real parts (nginx with RTMP, ffmpeg, Chromium).

mod accounts;
mod admin;
mod cli;
mod html;
mod keeper;
mod media;
mod support;
mod templates;
mod texts;
