//! The door: HTTP in, pages and JSON out. The only room that knows actix and tera.

pub mod assets;
