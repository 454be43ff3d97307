//! Telegram's Bot API: one method, `sendMessage`. The token is part of the address, so no address is ever told.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::json;
use url::Url;
use uuid::Uuid;

use super::http::{Http, Whose};
use super::ways::{FOR_A_PERSON, Sent, Then};
use crate::auth::Tenant;
use crate::error::{Error, Result};
use crate::live::redact::redact;
use crate::text::Message;
use crate::vault::{Purpose, Sealed, Sealing, Vault};

/// An answer of the Bot API is small.
const MOST_ANSWER: usize = 64 << 10;
/// Letters that a message may have.
const MOST_TEXT: usize = 4096;
/// Of what Telegram says about a message that it does not take.
const MOST_DESCRIPTION: usize = 200;

/// Reads a token as @BotFather gives it out: the bot's number, and the secret.
///
/// # Errors
/// Field `token`. The message never repeats it.
pub(super) fn parse_token(text: &str) -> Result<(String, SecretString)> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Error::field("token", Message::new("notice-token-missing")));
    }
    let secret = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
    match text.split_once(':') {
        Some((bot, rest))
            if (1..=20).contains(&bot.len())
                && bot.chars().all(|letter| letter.is_ascii_digit())
                && (20..=100).contains(&rest.len())
                && rest.chars().all(secret) =>
        {
            Ok((bot.to_owned(), SecretString::from(text)))
        }
        _ => Err(Error::field("token", Message::new("notice-token-form"))),
    }
}

/// Reads a chat's number, or the `@name` of a public channel.
///
/// # Errors
/// Field `chat_id`.
pub(super) fn parse_chat(text: &str) -> Result<String> {
    let text = text.trim();
    let is_number = text.len() <= 20 && text.parse::<i64>().is_ok_and(|number| number != 0);
    let is_name = text.strip_prefix('@').is_some_and(|name| {
        (4..=64).contains(&name.len()) && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
    });
    match text {
        "" => Err(Error::field("chat_id", Message::new("notice-chat-missing"))),
        _ if is_number || is_name => Ok(text.trim_start_matches('+').to_owned()),
        _ => Err(Error::field("chat_id", Message::new("notice-chat-form"))),
    }
}

/// Seals a token for its destination.
pub(super) fn seal(sealing: &Sealing, tenant: &Tenant, destination: Uuid, token: &SecretString) -> Result<Sealed> {
    sealing.seal(Some(tenant), Purpose::TelegramToken, destination, token)
}

/// Opens what [`seal`] sealed.
pub(super) fn open(vault: &Vault, tenant: &Tenant, destination: Uuid, token: &Sealed) -> Result<SecretString> {
    vault.open_sealed(Some(tenant), Purpose::TelegramToken, destination, token)
}

/// Sends a text to a chat.
pub(super) async fn send(http: &Http, base: &str, token: &SecretString, chat: &str, text: &str) -> Sent {
    let address = format!("{}/bot{}/sendMessage", base.trim_end_matches('/'), token.expose_secret());
    let Ok(url) = Url::parse(&address) else {
        return Sent::Not(Message::new("notice-fault-token"), Then::Later(FOR_A_PERSON));
    };
    // A number where it is one: names and numbers are told apart by their JSON type.
    let chat = chat.parse::<i64>().map_or_else(|_| json!(chat), |number| json!(number));
    let text: String = text.chars().take(MOST_TEXT).collect();
    let body = json!({"chat_id": chat, "text": text, "link_preview_options": {"is_disabled": true}});
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
    match http.post(&url, Whose::Ours, headers, body.to_string().into_bytes(), MOST_ANSWER).await {
        Ok(answer) => judge(answer.status, &answer.body, token),
        Err(message) => Sent::Not(message, Then::Again),
    }
}

/// What the Bot API answers.
#[derive(Deserialize)]
struct Answer {
    ok: bool,
    error_code: Option<u16>,
    #[serde(default)]
    description: String,
    #[serde(default)]
    parameters: Parameters,
}

#[derive(Deserialize, Default)]
struct Parameters {
    retry_after: Option<u64>,
    migrate_to_chat_id: Option<i64>,
}

fn judge(status: u16, body: &[u8], token: &SecretString) -> Sent {
    let Ok(answer) = serde_json::from_slice::<Answer>(body) else {
        // A proxy on the way, or no Bot API at all.
        return Sent::Not(Message::new("notice-fault-telegram").with("status", status), Then::Again);
    };
    if answer.ok {
        return Sent::There;
    }
    if let Some(chat) = answer.parameters.migrate_to_chat_id {
        return Sent::Moved(chat.to_string());
    }
    let said = answer.description.to_lowercase();
    let for_a_person = |id| Sent::Not(Message::new(id), Then::Later(FOR_A_PERSON));
    match answer.error_code.unwrap_or(status) {
        429 => {
            let seconds = answer.parameters.retry_after.unwrap_or(30).min(24 * 3600);
            let message = Message::new("notice-fault-telegram-wait").with("seconds", seconds);
            Sent::Not(message, Then::Later(Duration::from_secs(seconds)))
        }
        // A token that is not even well-formed leads to no method.
        401 | 404 => for_a_person("notice-fault-token"),
        403 => for_a_person("notice-fault-blocked"),
        400 if [
            "chat not found",
            "peer_id_invalid",
            "chat_id is empty",
            "user not found",
            "upgraded",
            "deactivated",
        ]
        .iter()
        .any(|mark| said.contains(mark)) =>
        {
            for_a_person("notice-fault-chat")
        }
        400 if said.contains("not enough rights") || said.contains("have no rights") => {
            for_a_person("notice-fault-blocked")
        }
        code @ 400..=499 => {
            // Whatever answers there may repeat the address, and the token with it.
            let token = token.expose_secret();
            let secret = token.split_once(':').map_or(token, |(_, secret)| secret);
            let description = redact(&answer.description, &[token, secret]);
            let description: String = description.chars().take(MOST_DESCRIPTION).collect();
            let message = Message::new("notice-fault-telegram-refused").with("description", description);
            Sent::Not(message.with("status", code), Then::GiveUp)
        }
        code => Sent::Not(Message::new("notice-fault-telegram").with("status", code), Then::Again),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    const TOKEN: &str = "123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw";

    #[test]
    fn a_token_that_the_bot_api_repeats_is_masked() {
        let percent: String = TOKEN.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let secret = TOKEN.split_once(':').unwrap().1;
        let cut = format!("{}{TOKEN}", " ".repeat(MOST_DESCRIPTION - 12));
        for (echo, expected) in [
            (format!("no method at /bot{TOKEN}/sendMessage"), "no method at /bot****/sendMessage"),
            (format!("no {}!", TOKEN.replace(':', "%3A")), "no ****!"),
            (format!("no {percent}!"), "no ****!"),
            (format!("no {secret}!"), "no ****!"),
            (cut, "****"),
        ] {
            let body = json!({"ok": false, "error_code": 400, "description": echo}).to_string();
            let Sent::Not(message, Then::GiveUp) = judge(400, body.as_bytes(), &SecretString::from(TOKEN)) else {
                panic!("{echo}");
            };
            let told = serde_json::to_string(&message).unwrap();
            assert!(told.contains(expected) && !told.contains("AAHdq") && !told.contains(&percent), "{told}");
        }
    }

    #[test]
    fn tokens_and_chats_are_read_as_telegram_gives_them_out() {
        let (bot, token) = parse_token(" 123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw ").unwrap();
        assert_eq!((bot.as_str(), token.expose_secret().len()), ("123456789", 44));
        for bad in
            ["", "123456789", "abc:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw", "1:short", "1:AAHdqTcvCH1vGWJxfSeofSAs0K5/../x"]
        {
            let refused = parse_token(bad).err().unwrap();
            assert_eq!(refused.status(), 422, "{bad}");
            assert!(bad.len() < 5 || !format!("{refused:?} {}", refused.message()).contains(bad));
        }
        for good in ["42", "-1001234567890", "@my_channel"] {
            assert_eq!(parse_chat(&format!(" {good} ")).unwrap(), good);
        }
        for bad in ["", "0", "me", "@a", "@a b c d", "12345678901234567890123"] {
            assert_eq!(parse_chat(bad).err().unwrap().status(), 422, "{bad}");
        }
    }

    #[test]
    fn every_answer_of_the_bot_api_has_its_consequence() {
        let told = |status: u16, text: &str| match judge(status, text.as_bytes(), &SecretString::from(TOKEN)) {
            Sent::There => ("there".to_owned(), None),
            Sent::Moved(chat) => (format!("moved {chat}"), None),
            Sent::Not(message, then) => (message.id.into_owned(), Some(then)),
        };
        let person = Some(Then::Later(FOR_A_PERSON));
        let error = |code: u16, description: &str, parameters: Value| {
            json!({"ok": false, "error_code": code, "description": description, "parameters": parameters}).to_string()
        };
        for (status, body, id, then) in [
            (200, r#"{"ok":true,"result":{"message_id":1}}"#.to_owned(), "there", None),
            (
                429,
                error(429, "Too Many Requests: retry after 7", json!({"retry_after": 7})),
                "notice-fault-telegram-wait",
                Some(Then::Later(Duration::from_secs(7))),
            ),
            (401, error(401, "Unauthorized", json!({})), "notice-fault-token", person),
            (404, error(404, "Not Found", json!({})), "notice-fault-token", person),
            (403, error(403, "Forbidden: bot was blocked by the user", json!({})), "notice-fault-blocked", person),
            (400, error(400, "Bad Request: chat not found", json!({})), "notice-fault-chat", person),
            (
                400,
                error(
                    400,
                    "Bad Request: group chat was upgraded to a supergroup chat",
                    json!({"migrate_to_chat_id": -100123}),
                ),
                "moved -100123",
                None,
            ),
            (
                400,
                error(400, "Bad Request: message is too long", json!({})),
                "notice-fault-telegram-refused",
                Some(Then::GiveUp),
            ),
            (500, error(500, "Internal Server Error", json!({})), "notice-fault-telegram", Some(Then::Again)),
            (502, "<html>Bad Gateway</html>".to_owned(), "notice-fault-telegram", Some(Then::Again)),
        ] {
            assert_eq!(told(status, &body), (id.to_owned(), then), "{body}");
        }
    }
}
