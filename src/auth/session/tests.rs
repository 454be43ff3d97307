//! Logins begin, are used, and end, with a clock that stands still.

use super::*;
use crate::auth::{NewUser, Passwords, Role, SystemLicence, Tenant, UserChange};
use crate::clock::Clock;
use crate::store::Store;

struct Box {
    accounts: Accounts,
    clock: Clock,
    licence: SystemLicence,
    _home: tempfile::TempDir,
}

async fn with_al() -> Box {
    let home = tempfile::tempdir().unwrap();
    let clock = Clock::held_at("2026-01-01T00:00:00Z".parse().unwrap());
    let store = Store::open_redb(home.path().to_owned(), clock.clone()).unwrap();
    let burst = std::num::NonZeroU32::new(1000).unwrap();
    let accounts = Accounts::new(&store, Passwords::new(4).unwrap(), &[7; 32], burst, Duration::from_secs(900));
    #[allow(clippy::disallowed_methods, reason = "a test of the room itself")]
    let licence = SystemLicence::new();
    for (name, role) in [("al", Role::User), ("root", Role::Admin)] {
        let name = UserName::parse(name).unwrap();
        let tenant = Tenant::parse(name.as_str()).unwrap();
        let new = NewUser { name, role, tenant, password: "a few words".into() };
        accounts.create(&licence.console(), new, |_| Ok(())).await.unwrap();
    }
    Box { accounts, clock, licence, _home: home }
}

impl Box {
    async fn log_in(&self) -> (String, Identity) {
        self.accounts
            .log_in("al", "a few words".into(), Caller { agent: "test".into(), ..Caller::default() })
            .await
            .unwrap()
    }

    async fn lives(&self, token: &str) -> bool {
        self.accounts.by_session(token, None).await.is_ok()
    }

    fn wait(&self, hours: u64) {
        self.clock.advance(Duration::from_secs(hours * 3600));
    }
}

#[tokio::test]
async fn a_session_that_is_not_used_ends_after_twelve_hours() {
    let al = with_al().await;
    let (token, me) = al.log_in().await;
    al.wait(11);
    assert!(al.lives(&token).await);
    al.wait(11);
    assert!(al.lives(&token).await, "being used keeps it");
    assert!(al.accounts.is_live(&me).await.unwrap());
    al.wait(12);
    assert!(!al.lives(&token).await);
    assert!(!al.accounts.is_live(&me).await.unwrap());
    assert!(al.accounts.sessions(&me).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_session_ends_after_thirty_days_however_much_it_is_used() {
    let al = with_al().await;
    let (token, _) = al.log_in().await;
    let (pair, _) = al.accounts.log_in_api("al", "a few words".into(), Caller::default()).await.unwrap();
    let mut refresh = pair.refresh;
    for _ in 0..71 {
        al.wait(10);
        assert!(al.lives(&token).await);
        refresh = al.accounts.refresh(&refresh, None).await.unwrap().refresh;
    }
    al.wait(10);
    assert!(!al.lives(&token).await);
    assert!(al.accounts.refresh(&refresh, None).await.is_err());
}

#[tokio::test]
async fn an_access_token_runs_out_after_a_quarter_of_an_hour() {
    let al = with_al().await;
    let (pair, _) = al.accounts.log_in_api("al", "a few words".into(), Caller::default()).await.unwrap();
    al.clock.advance(Duration::from_secs(pair.expires_in - 1));
    assert!(al.accounts.by_access_token(&pair.access, None).await.is_ok());
    al.clock.advance(Duration::from_secs(1));
    assert!(al.accounts.by_access_token(&pair.access, None).await.is_err());
    assert!(al.accounts.refresh(&pair.refresh, None).await.is_ok());
}

#[tokio::test]
async fn tokens_of_one_kind_are_nothing_to_the_other() {
    let al = with_al().await;
    let (cookie, _) = al.log_in().await;
    let (pair, _) = al.accounts.log_in_api("al", "a few words".into(), Caller::default()).await.unwrap();
    assert!(al.accounts.refresh(&cookie, None).await.is_err());
    assert!(al.accounts.by_session(&pair.refresh, None).await.is_err());
    assert!(al.accounts.by_access_token(&cookie, None).await.is_err());
    assert!(al.lives(&cookie).await && al.accounts.refresh(&pair.refresh, None).await.is_ok());
}

#[tokio::test]
async fn a_login_that_was_checked_before_a_lock_does_not_begin_after_it() {
    let al = with_al().await;
    let checked = al.accounts.check_password("al", "a few words".into(), &Caller::default()).await.unwrap();
    let name = UserName::parse("al").unwrap();
    let console = al.licence.console();
    for disabled in [true, false] {
        let change = UserChange { disabled: Some(disabled), ..UserChange::default() };
        al.accounts.change(&console, name.clone(), change, None).await.unwrap();
        // Let in again, the password must be shown again.
        assert!(al.accounts.begin_browser(checked.clone(), Caller::default(), true).await.is_err());
    }
    al.log_in().await;
}

#[tokio::test]
async fn who_logs_in_without_end_loses_the_oldest_login() {
    let al = with_al().await;
    let (first, _) = al.log_in().await;
    let mut last = None;
    for _ in 0..PER_USER {
        al.clock.advance(Duration::from_secs(1));
        last = Some(al.log_in().await);
    }
    let (last, me) = last.unwrap();
    assert!(!al.lives(&first).await && al.lives(&last).await);
    assert_eq!(al.accounts.sessions(&me).await.unwrap().len(), PER_USER);
}

#[tokio::test]
async fn a_program_that_refreshes_without_end_fills_no_disk() {
    let al = with_al().await;
    let (pair, _) = al.accounts.log_in_api("al", "a few words".into(), Caller::default()).await.unwrap();
    let (mut refresh, mut used) = (pair.refresh, Vec::new());
    for _ in 0..SPENT + 20 {
        used.push(refresh.clone());
        refresh = al.accounts.refresh(&refresh, None).await.unwrap().refresh;
    }
    let kept = al.accounts.platform.read(|rows| {
        let mut count = 0;
        for prefix in ["spent/", "token/"] {
            rows.values::<serde_json::Value>(prefix, |_, _| {
                count += 1;
                ControlFlow::Continue(())
            })?;
        }
        Ok(count)
    });
    assert_eq!(kept.await.unwrap(), 2 * SPENT + 1);
    // One that is forgotten is nothing; one that is remembered was stolen.
    assert!(al.accounts.refresh(&used[0], None).await.is_err());
    refresh = al.accounts.refresh(&refresh, None).await.unwrap().refresh;
    assert!(al.accounts.refresh(&used[SPENT], None).await.is_err());
    assert!(al.accounts.refresh(&refresh, None).await.is_err());
}

#[tokio::test]
async fn a_password_counts_for_a_quarter_of_an_hour_whatever_is_refreshed() {
    let al = with_al().await;
    let password = || "a few words".to_owned();
    let (mut cookie, _) = al.accounts.log_in("root", password(), Caller::default()).await.unwrap();
    let (mut pair, _) = al.accounts.log_in_api("root", password(), Caller::default()).await.unwrap();
    let fresh = async |cookie: &str, access: &str| {
        let browser = al.accounts.by_session(cookie, None).await.unwrap().fresh_operator().is_ok();
        (browser, al.accounts.by_access_token(access, None).await.unwrap().fresh_operator().is_ok())
    };
    al.clock.advance(Duration::from_secs(899));
    assert_eq!(fresh(&cookie, &pair.access).await, (true, true));
    pair = al.accounts.refresh(&pair.refresh, None).await.unwrap();
    al.clock.advance(Duration::from_secs(1));
    assert_eq!(fresh(&cookie, &pair.access).await, (false, false));
    let old = al.accounts.by_session(&cookie, None).await.unwrap();
    assert!(old.operator().is_ok() && matches!(old.fresh_operator(), Err(Error::ProofRequired)));
    let wrong = al.accounts.confirm(&old, "other words".into(), &Caller::default()).await.err().unwrap();
    assert_eq!((wrong.status(), fresh(&cookie, &pair.access).await), (422, (false, false)));
    // Each login for itself.
    let confirmed = al.accounts.confirm(&old, password(), &Caller::default()).await.unwrap();
    assert!(confirmed.identity.fresh_operator().is_ok());
    // A copy of the cookie that somebody took is worth nothing from now on; forms that are open are still good.
    let taken = std::mem::replace(&mut cookie, confirmed.token.unwrap());
    assert!(matches!(al.accounts.by_session(&taken, None).await, Err(Error::LoginRequired)));
    assert_eq!(al.accounts.by_session(&cookie, None).await.unwrap().csrf, old.csrf);
    assert_eq!(fresh(&cookie, &pair.access).await, (true, false));
    let old = al.accounts.by_access_token(&pair.access, None).await.unwrap();
    assert!(al.accounts.confirm(&old, password(), &Caller::default()).await.unwrap().token.is_none());
    assert_eq!(fresh(&cookie, &pair.access).await, (true, true));
    // A login that has ended is not brought back.
    al.accounts.end_every_session(&old).await.unwrap();
    assert!(matches!(al.accounts.confirm(&old, password(), &Caller::default()).await, Err(Error::LoginRequired)));
}

#[tokio::test]
async fn the_demo_account_proves_no_password_and_a_user_s_is_no_admin_s() {
    let al = with_al().await;
    let name = UserName::parse("demo").unwrap();
    let new = NewUser { tenant: name.own_tenant(), name, role: Role::Demo, password: "a few words".into() };
    al.accounts.create(&al.licence.console(), new, |_| Ok(())).await.unwrap();
    let (_, demo) = al.accounts.log_in_demo(Caller::default()).await.unwrap();
    let (_, me) = al.log_in().await;
    for identity in [demo, me] {
        assert_eq!(identity.fresh_operator().unwrap_err().status(), 403);
        assert!(matches!(identity.fresh_operator(), Err(Error::Forbidden(_))));
    }
}
