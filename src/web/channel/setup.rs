//! How channels are connected: with which client, and how one gets a client of one's own.

use actix_web::HttpResponse;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};

use super::leading_away;
use crate::error::Result;
use crate::library::{Editor, Library};
use crate::oauth::{NewClient, Service, Whose};
use crate::text::Message;
use crate::web::{Form, Page};

const SETUP: &str = "channel/new.html";

async fn context(page: &Page, library: &Library) -> Result<Value> {
    let provider = Service::Youtube.provider();
    let config = page.server().foundation.config();
    let own = library.own_client(provider).await?;
    let usable = library.usable_client(provider).await?;
    let form = json!({"client_id": own.as_ref().map(|own| own.client_id.as_str()).unwrap_or_default()});
    Ok(json!({
        "redirect": provider.redirect(config).ok().map(|url| url.to_string()),
        "client": usable.map(|client| match client.whose {
            Whose::Own => "own",
            Whose::Box => "box",
        }),
        "own": own.map(|own| json!({"client_id": own.client_id, "at": page.moment(own.at), "by": own.by})),
        "scopes": Service::Youtube.scopes(),
        "form": form,
        "errors": {},
    }))
}

pub(super) async fn show(page: Page, library: Library) -> Result<HttpResponse> {
    let context = context(&page, &library).await?;
    leading_away(&page.clone(), page.render("channels", SETUP, context).await?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClientForm {
    #[serde(default)]
    client_id: String,
    #[serde(default)]
    client_secret: String,
}

pub(super) async fn bring(page: Page, editor: Editor, form: Form<ClientForm>) -> Result<HttpResponse> {
    let ClientForm { client_id, client_secret } = form.value;
    let secret = Some(client_secret).filter(|secret| !secret.trim().is_empty()).map(SecretString::from);
    let new = NewClient { client_id: client_id.clone(), secret };
    match editor.bring_client(Service::Youtube.provider(), new).await {
        Ok(_) => Ok(page.see_other("/channels/new", "ok", Some(Message::new("channel-client-saved")))),
        Err(error) => {
            let mut context = context(&page, &editor).await?;
            // The secret is typed again.
            context["form"] = json!({ "client_id": client_id });
            leading_away(&page.clone(), page.refuse_filled("channels", SETUP, context, error).await?)
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

pub(super) async fn forget(page: Page, editor: Editor, _form: Form<Nothing>) -> Result<HttpResponse> {
    editor.forget_client(Service::Youtube.provider()).await?;
    Ok(page.see_other("/channels/new", "ok", Some(Message::new("channel-client-forgotten"))))
}
