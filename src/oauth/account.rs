//! Whose account a grant opens: its name and picture as the service shows them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::Method;
use reqwest::header::HeaderMap;
use secrecy::ExposeSecret as _;
use serde_json::Value;
use url::Url;
use uuid::Uuid;

use super::connection::{Connection, Picture, picture_key};
use super::exchange::told;
use super::provider::Provider;
use super::{AccessToken, Grants, Service};
use crate::error::{Error, Result};
use crate::library::Editor;
use crate::outbound::{self, Ask, LIMIT};
use crate::store::rows::Writer;
use crate::text::Message;
use crate::youtube::model::is_id;
use crate::youtube::quota::Quota;
use crate::youtube::units::Call;

/// Largest answer and largest picture that are read, in bytes.
const MOST_ANSWER: usize = 256 << 10;
const MOST_PICTURE: usize = 2 << 20;
/// Longer side of a kept picture, in pixels.
const SIDE: u32 = 176;
/// Largest kept picture, in bytes.
const MOST_KEPT: usize = 64 << 10;

/// Somebody's account.
pub(super) struct Account {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) handle: Option<String>,
    picture: Option<Url>,
}

/// Reads what the Data API says of the channel that a grant opens.
fn youtube_channel(status: u16, body: &[u8]) -> Result<Account> {
    let refused = |id| Err(Error::Conflict(Message::new(id)));
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    if status != 200 {
        let fault = &answer["error"];
        let reason = fault["errors"][0]["reason"].as_str().unwrap_or_default();
        let details = fault["details"].as_array().into_iter().flatten();
        let detail = details.filter_map(|detail| detail["reason"].as_str()).next().unwrap_or_default();
        return match (reason, detail) {
            ("accessNotConfigured", _) | (_, "SERVICE_DISABLED") => refused("oauth-youtube-api-off"),
            ("insufficientPermissions", _) | (_, "ACCESS_TOKEN_SCOPE_INSUFFICIENT") => refused("oauth-scope-missing"),
            ("youtubeSignupRequired" | "channelNotFound", _) => refused("oauth-youtube-no-channel"),
            ("quotaExceeded" | "rateLimitExceeded" | "dailyLimitExceeded", _) => refused("oauth-youtube-quota"),
            _ => {
                let said = told(fault["message"].as_str().unwrap_or_default());
                let said = if said.is_empty() { status.to_string() } else { said };
                Err(Error::Upstream(Message::new("oauth-fault-refused").with("provider", "YouTube").with("said", said)))
            }
        };
    }
    let item = &answer["items"][0];
    let Some(id) = item["id"].as_str().filter(|id| is_id(id)) else { return refused("oauth-youtube-no-channel") };
    let snippet = &item["snippet"];
    let title = told(snippet["title"].as_str().unwrap_or_default());
    let handle = told(snippet["customUrl"].as_str().unwrap_or_default());
    let pictures = ["medium", "default", "high"].iter();
    let mut pictures = pictures.filter_map(|size| Url::parse(snippet["thumbnails"][size]["url"].as_str()?).ok());
    Ok(Account {
        id: id.to_owned(),
        title: if title.is_empty() { id.to_owned() } else { title },
        handle: Some(handle).filter(|handle| !handle.is_empty()),
        picture: pictures.find(|url| matches!(url.scheme(), "http" | "https")),
    })
}

impl Account {
    /// Writes what the service says of an account into its connection.
    pub(super) fn name(&self, connection: &mut Connection, picture: Option<&String>) {
        connection.title.clone_from(&self.title);
        connection.handle.clone_from(&self.handle);
        connection.account = Some(self.id.clone());
        connection.picture |= picture.is_some();
    }
}

/// Puts a picture into the batch of its connection.
pub(super) fn put_picture(rows: &mut Writer<'_>, id: Uuid, picture: Option<&String>) -> Result<()> {
    match picture {
        Some(bytes) => rows.put_value(&picture_key(id), &Picture { bytes: bytes.clone() }),
        None => Ok(()),
    }
}

impl Grants {
    /// Asks whose account a token opens. For YouTube this is one request of its Data API, which costs one unit.
    ///
    /// # Errors
    /// What to tell the person who connects.
    pub(super) async fn account(&self, service: Service, token: &AccessToken) -> Result<Account> {
        let ends = service.provider().ends(self.shared.foundation.config())?;
        match service {
            Service::Youtube => {
                let mut url = ends.api;
                let path = format!("{}/youtube/v3/channels", url.path().trim_end_matches('/'));
                url.set_path(&path);
                url.set_query(Some("part=snippet&mine=true"));
                let quota = Quota::of(&self.shared.foundation)?;
                quota.note(token.project(), Call::ChannelsList, self.shared.foundation.clock().now()).await?;
                let request = self.shared.outbound.ours().get(url.clone()).timeout(LIMIT);
                let away = |error| Error::Upstream(outbound::blame(error, &url));
                let response = request.bearer_auth(token.secret.expose_secret()).send().await.map_err(away)?;
                let answer = outbound::read(response, MOST_ANSWER).await.map_err(away)?;
                youtube_channel(answer.status, &answer.body)
            }
        }
    }

    /// The picture of an account, made small and written anew; none where it cannot be had.
    pub(super) async fn picture(&self, editor: &Editor, provider: Provider, account: &Account) -> Option<String> {
        let url = account.picture.as_ref()?;
        let ends = provider.ends(self.shared.foundation.config()).ok()?;
        // The service names the address: inner ones are called only where the operator put the service there.
        let allow_private = url.origin() == ends.api.origin();
        let headers = HeaderMap::new();
        let ask = Ask { method: Method::GET, url, allow_private, headers, body: Vec::new(), most: MOST_PICTURE };
        let answer = match self.shared.outbound.ask(ask).await {
            Ok(answer) if answer.status == 200 => answer,
            Ok(answer) => {
                tracing::info!(status = answer.status, "the picture of an account could not be had");
                return None;
            }
            Err(why) => {
                tracing::info!(%why, "the picture of an account could not be had");
                return None;
            }
        };
        let tools = self.shared.foundation.tools();
        let picture = tools.received_picture(editor.tenant(), answer.body, SIDE).await.ok()?;
        (picture.bytes.len() <= MOST_KEPT).then(|| BASE64.encode(&picture.bytes))
    }

    /// Learns the account of a connection that came from an old home. Not knowing it harms nothing.
    pub(super) async fn learn_account(&self, editor: &Editor, id: Uuid, token: &AccessToken) {
        let account = match self.account(Service::Youtube, token).await {
            Ok(account) => account,
            Err(cause) => {
                tracing::info!(connection = %id, %cause, "whose account it is could not be learned");
                return;
            }
        };
        let picture = self.picture(editor, Provider::Google, &account).await;
        let rows = editor.rows();
        let noted = rows.write(move |rows| {
            let row = rows.need::<Connection>(id, None)?;
            let mut connection = row.value.clone();
            account.name(&mut connection, picture.as_ref());
            put_picture(rows, id, picture.as_ref())?;
            rows.rewrite(&row, connection).map(drop)
        });
        if let Err(cause) = noted.await {
            tracing::warn!(connection = %id, %cause, "whose account it is could not be written down");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_channel_is_read_as_the_data_api_tells_it() {
        let answer = json!({"items": [{"id": "UC_x5XG1OV2P6uZZ5FSM9Ttw", "snippet": {
            "title": " Rain\u{202e} & <b>more</b>\n", "customUrl": "@rain",
            "thumbnails": {"default": {"url": "https://yt3.ggpht.com/a=s88"}, "medium": {"url": "javascript:alert(1)"}},
        }}]});
        let account = youtube_channel(200, answer.to_string().as_bytes()).unwrap();
        assert_eq!(account.id, "UC_x5XG1OV2P6uZZ5FSM9Ttw");
        assert_eq!((account.title.as_str(), account.handle.as_deref()), ("Rain & <b>more</b>", Some("@rain")));
        assert_eq!(account.picture.unwrap().as_str(), "https://yt3.ggpht.com/a=s88");
    }

    #[test]
    fn what_stands_in_the_way_is_told_in_plain_words() {
        let fault = |reason: &str| json!({"error": {"code": 403, "errors": [{"reason": reason}]}});
        let detail =
            json!({"error": {"details": [{"reason": "SERVICE_DISABLED"}], "errors": [{"reason": "forbidden"}]}});
        for (status, answer, id) in [
            (200, json!({"items": []}), "oauth-youtube-no-channel"),
            (200, json!({}), "oauth-youtube-no-channel"),
            (200, json!({"items": [{"id": "../x"}]}), "oauth-youtube-no-channel"),
            (403, fault("accessNotConfigured"), "oauth-youtube-api-off"),
            (403, detail, "oauth-youtube-api-off"),
            (403, fault("insufficientPermissions"), "oauth-scope-missing"),
            (403, fault("quotaExceeded"), "oauth-youtube-quota"),
            (401, fault("youtubeSignupRequired"), "oauth-youtube-no-channel"),
            (500, json!("x"), "oauth-fault-refused"),
        ] {
            let refused = youtube_channel(status, answer.to_string().as_bytes()).err().unwrap();
            assert_eq!(refused.message().id, id, "{answer}");
        }
    }
}
