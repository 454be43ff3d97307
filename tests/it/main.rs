//! The one test binary: sentences over the real surface, on real parts (nginx with RTMP, ffmpeg, Chromium).

mod accounts;
mod admin;
mod api;
mod audit;
mod browser;
mod browser_calendar;
mod calendar;
mod cli;
mod dashboard;
mod defences;
mod html;
mod jobs;
mod keeper;
mod library;
mod live;
mod media;
mod notify;
mod pages;
mod routes;
mod schedules;
mod stop_time;
mod streams;
mod support;
mod templates;
mod texts;
mod threats;
