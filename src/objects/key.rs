//! One typed enum decides folder, bucket key, content type and cache rule. Nothing else joins a path.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::auth::Tenant;
use crate::tenancy::Kind;

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectKind {
    /// An uploaded video.
    Video,
    /// An uploaded photo.
    Photo,
    /// A picture that stands for a video or a broadcast.
    Thumbnail,
    /// A part cut from a video.
    Clip,
    /// Several videos joined.
    Montage,
    /// Photos shown in turn.
    Slideshow,
    /// A short video repeated to a length.
    Loop,
}

impl ObjectKind {
    /// All kinds.
    pub const ALL: [ObjectKind; 7] = [
        ObjectKind::Video,
        ObjectKind::Photo,
        ObjectKind::Thumbnail,
        ObjectKind::Clip,
        ObjectKind::Montage,
        ObjectKind::Slideshow,
        ObjectKind::Loop,
    ];

    /// What its bytes are booked as.
    pub fn spent_as(self) -> Kind {
        match self {
            ObjectKind::Video => Kind::Uploads,
            ObjectKind::Photo => Kind::Photos,
            ObjectKind::Thumbnail => Kind::Thumbnails,
            ObjectKind::Clip | ObjectKind::Montage | ObjectKind::Slideshow | ObjectKind::Loop => Kind::Generated,
        }
    }

    /// The tenant's folder for this kind, relative to the home.
    pub fn folder(self, tenant: &Tenant) -> PathBuf {
        let name = tenant.as_str();
        match self {
            ObjectKind::Video => ["videos", name].iter().collect(),
            ObjectKind::Photo => ["photos", name].iter().collect(),
            ObjectKind::Thumbnail => ["thumbnails", name].iter().collect(),
            ObjectKind::Clip => ["videos", name, "generated", "clips"].iter().collect(),
            ObjectKind::Montage => ["videos", name, "generated", "montages"].iter().collect(),
            ObjectKind::Slideshow => ["videos", name, "generated", "slideshows"].iter().collect(),
            ObjectKind::Loop => ["videos", name, "generated", "loops"].iter().collect(),
        }
    }

    fn bucket_folder(self) -> &'static str {
        match self {
            ObjectKind::Video => "uploads/videos",
            ObjectKind::Photo => "uploads/photos",
            ObjectKind::Thumbnail => "thumbnails",
            ObjectKind::Clip => "generated/clips",
            ObjectKind::Montage => "generated/montages",
            ObjectKind::Slideshow => "generated/slideshows",
            ObjectKind::Loop => "generated/loops",
        }
    }
}

macro_rules! extensions {
    ($($variant:ident $extension:literal $content:literal),* $(,)?) => {
        /// A safe extension: what the bytes were found to be, never what a file was called.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "lowercase")]
        pub enum Extension {
            $(#[doc = concat!("`.", $extension, "`")] $variant,)*
        }

        impl Extension {
            /// Every extension.
            pub const ALL: &[Extension] = &[$(Extension::$variant),*];

            /// Without the dot.
            pub fn as_str(self) -> &'static str {
                match self { $(Extension::$variant => $extension,)* }
            }

            /// What it is served as.
            pub fn content_type(self) -> &'static str {
                match self { $(Extension::$variant => $content,)* }
            }
        }
    };
}

extensions! {
    Mp4 "mp4" "video/mp4",
    Mov "mov" "video/quicktime",
    Mkv "mkv" "video/x-matroska",
    Webm "webm" "video/webm",
    Flv "flv" "video/x-flv",
    Ts "ts" "video/mp2t",
    Avi "avi" "video/x-msvideo",
    Jpg "jpg" "image/jpeg",
    Png "png" "image/png",
    Webp "webp" "image/webp",
}

/// Names one object of a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ObjectKey {
    /// What it is.
    pub kind: ObjectKind,
    /// Its row's id.
    pub id: Uuid,
    /// What its bytes are.
    pub extension: Extension,
}

impl ObjectKey {
    /// `<id>.<extension>`.
    pub fn file_name(&self) -> String {
        format!("{}.{}", self.id, self.extension.as_str())
    }

    /// Reads [`ObjectKey::file_name`] back.
    pub fn from_file_name(kind: ObjectKind, name: &str) -> Option<ObjectKey> {
        let (id, extension) = name.split_once('.')?;
        let extension = *Extension::ALL.iter().find(|known| known.as_str() == extension)?;
        let key = ObjectKey { kind, id: Uuid::parse_str(id).ok()?, extension };
        (key.file_name() == name).then_some(key)
    }

    /// Where it lies, relative to the home.
    pub fn path(&self, tenant: &Tenant) -> PathBuf {
        self.kind.folder(tenant).join(self.file_name())
    }

    /// Its key in a tenant's own bucket.
    pub fn bucket_key(&self, tenant: &Tenant) -> String {
        format!("users/{tenant}/{}/{}", self.kind.bucket_folder(), self.file_name())
    }

    /// An object never changes under its id, but only its tenant may keep a copy.
    pub fn cache_rule(&self) -> &'static str {
        "private, max-age=86400, immutable"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_the_place_that_the_design_names() {
        let al = Tenant::parse("al").unwrap();
        let id = Uuid::parse_str("0198c0de-0000-7000-8000-000000000001").unwrap();
        let table = [
            (ObjectKind::Video, "videos/al/", "users/al/uploads/videos/"),
            (ObjectKind::Photo, "photos/al/", "users/al/uploads/photos/"),
            (ObjectKind::Thumbnail, "thumbnails/al/", "users/al/thumbnails/"),
            (ObjectKind::Clip, "videos/al/generated/clips/", "users/al/generated/clips/"),
            (ObjectKind::Montage, "videos/al/generated/montages/", "users/al/generated/montages/"),
            (ObjectKind::Slideshow, "videos/al/generated/slideshows/", "users/al/generated/slideshows/"),
            (ObjectKind::Loop, "videos/al/generated/loops/", "users/al/generated/loops/"),
        ];
        for (kind, folder, bucket) in table {
            let key = ObjectKey { kind, id, extension: Extension::Mp4 };
            assert_eq!(key.path(&al).to_str().unwrap(), format!("{folder}{id}.mp4"));
            assert_eq!(key.bucket_key(&al), format!("{bucket}{id}.mp4"));
            assert_eq!(ObjectKey::from_file_name(kind, &key.file_name()), Some(key));
        }
        for odd in ["../x.mp4", "x.mp4", &format!("{id}.mp4.mp4"), &format!("{id}.exe"), &id.to_string().to_uppercase()]
        {
            assert_eq!(ObjectKey::from_file_name(ObjectKind::Video, odd), None);
        }
    }
}
