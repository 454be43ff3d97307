//! Access tokens as other rooms see them.

use jiff::Timestamp;
use secrecy::SecretString;

use crate::error::Error;
use crate::text::Message;

/// Opens one account elsewhere for a short while. Its `Debug` shows nothing of it.
#[derive(Debug, Clone)]
pub struct AccessToken {
    pub(super) secret: SecretString,
    pub(super) client_id: String,
}

impl AccessToken {
    /// The token, for the header `Authorization: Bearer`.
    pub fn secret(&self) -> &SecretString {
        &self.secret
    }

    /// The client that it was given to; no secret.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// The project at Google that requests count for.
    pub fn project(&self) -> &str {
        project_of(&self.client_id)
    }
}

/// Google's client ids start with the number of their project; one that does not stands for itself.
pub fn project_of(client_id: &str) -> &str {
    match client_id.split_once('-') {
        Some((number, _)) if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) => number,
        _ => client_id,
    }
}

/// Why there is no access token.
#[derive(Debug)]
pub enum TokenFault {
    /// There is no such connection.
    Gone,
    /// A person has to connect again; trying again is of no use.
    Reconnect(Message),
    /// The service could not be asked, or not now.
    Later {
        /// When asking again makes sense.
        at: Timestamp,
        /// What to tell people.
        why: Message,
    },
    /// Our own fault.
    Broken(Error),
}

impl From<Error> for TokenFault {
    fn from(cause: Error) -> Self {
        match cause {
            Error::NotFound => TokenFault::Gone,
            cause => TokenFault::Broken(cause),
        }
    }
}

impl From<TokenFault> for Error {
    fn from(fault: TokenFault) -> Self {
        match fault {
            TokenFault::Gone => Error::NotFound,
            TokenFault::Reconnect(why) => Error::Conflict(why),
            TokenFault::Later { why, .. } => Error::Upstream(why),
            TokenFault::Broken(cause) => cause,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::project_of;

    #[test]
    fn the_project_is_the_number_before_the_client() {
        for (client, project) in [
            ("1234567890-abc.apps.googleusercontent.com", "1234567890"),
            ("our-client", "our-client"),
            ("-abc", "-abc"),
            ("", ""),
        ] {
            assert_eq!(project_of(client), project);
        }
    }
}
