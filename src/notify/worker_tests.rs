use std::collections::BTreeSet;

use secrecy::SecretString;

use super::super::outbox::{put, put_once, run_missed};
use super::super::rows::{Facts, Kind, StreamFacts};
use super::super::webhook;
use super::*;
use crate::auth::UserName;
use crate::library::testing;
use crate::live::{PlayOrder, Run, RunOutcome};
use crate::text::{Locale, Message};

fn user(role: Role) -> User {
    let now = Timestamp::UNIX_EPOCH;
    User {
        id: Uuid::from_u128(1),
        name: UserName::parse("al").unwrap(),
        role,
        tenant: Tenant::parse("al").unwrap(),
        password_hash: String::new(),
        disabled: false,
        deleting: false,
        epoch: 1,
        time_zone: None,
        locale: None,
        theme: None,
        created_by: String::new(),
        created_at: now,
        updated_at: now,
        version: 1,
        last_login: None,
    }
}

async fn destination(editor: &Editor) -> Uuid {
    let (tenant, actor, id) = (editor.tenant().clone(), editor.actor().clone(), Uuid::now_v7());
    let secret = SecretString::from("whsec_AAAA");
    let secret = webhook::seal(&editor.foundation().vault().sealing(), &tenant, id, &secret).unwrap();
    let destination = Destination {
        user: UserName::parse("al").unwrap(),
        user_id: Uuid::from_u128(1),
        name: "Mine".into(),
        enabled: true,
        kinds: BTreeSet::from(Kind::ALL),
        lead_minutes: 10,
        digest_hour: 7,
        locale: Locale::En,
        way: Way::Webhook { url: "http://127.0.0.1:9/".into(), secret, previous: None },
    };
    let row = move |rows: &mut Writer<'_>| rows.insert_with_id(id, &tenant, &actor, destination.clone()).map(drop);
    editor.rows().write(row).await.unwrap();
    id
}

fn facts(title: &str) -> Facts {
    Facts::Stream(Box::new(StreamFacts { title: title.into(), count: 1, ..StreamFacts::default() }))
}

async fn add(editor: &Editor, destination: Uuid, kind: Kind, title: &'static str) {
    let write = move |rows: &mut Writer<'_>| put(rows, destination, kind, facts(title)).map(drop);
    editor.rows().write(write).await.unwrap();
}

async fn titles(editor: &Editor) -> Vec<String> {
    let read = |rows: &Reader<'_>| {
        let title = |notice: Notice| match notice.facts {
            Facts::Stream(facts) => format!("{} x{}", facts.title, facts.count),
            _ => notice.kind.code().to_owned(),
        };
        Ok(waiting(rows)?.into_iter().map(title).collect())
    };
    editor.rows().read(read).await.unwrap()
}

async fn claimed(editor: &Editor, id: Uuid, user: Option<User>, me: u128) -> Option<usize> {
    let me = Uuid::from_u128(me);
    let found = editor.rows().write(move |rows| claim(rows, id, user.as_ref(), me)).await.unwrap();
    found.map(|(_, notices)| notices.len())
}

#[tokio::test]
async fn what_is_claimed_is_claimed_by_one_and_comes_back_to_its_holder() {
    let home = tempfile::tempdir().unwrap();
    let editor = testing::editor(home.path()).await;
    let id = destination(&editor).await;
    let al = Some(user(Role::User));
    assert_eq!(claimed(&editor, id, al.clone(), 7).await, None, "nothing waits");
    add(&editor, id, Kind::Failed, "one").await;
    add(&editor, id, Kind::Ended, "two").await;
    assert_eq!(claimed(&editor, id, al.clone(), 7).await, Some(2));
    assert_eq!(claimed(&editor, id, al.clone(), 8).await, None, "another server waits for the lease");
    assert_eq!(claimed(&editor, id, al, 7).await, Some(2));
}

#[tokio::test]
async fn what_is_for_nobody_any_more_is_dropped() {
    let home = tempfile::tempdir().unwrap();
    let editor = testing::editor(home.path()).await;
    let id = destination(&editor).await;
    // Not for users: the disk is the operator's.
    add(&editor, id, Kind::DiskLow, "disk").await;
    assert_eq!(claimed(&editor, id, Some(user(Role::User)), 7).await, None);
    assert_eq!(titles(&editor).await, Vec::<String>::new());
    add(&editor, id, Kind::DiskLow, "disk").await;
    assert_eq!(claimed(&editor, id, Some(user(Role::Admin)), 7).await, Some(1));
    // Nobody logs in there any more.
    for (role, disabled) in [(Role::Demo, false), (Role::User, true)] {
        assert_eq!(claimed(&editor, id, Some(User { disabled, ..user(role) }), 7).await, None);
        assert_eq!(titles(&editor).await, Vec::<String>::new());
        add(&editor, id, Kind::Failed, "one").await;
    }
    // The user is gone, and one of the same name is another one.
    let other = User { id: Uuid::from_u128(2), ..user(Role::User) };
    assert_eq!(claimed(&editor, id, Some(other), 7).await, None);
    let left = editor.rows().read(move |rows| rows.get::<Destination>(id)).await.unwrap();
    assert!(left.is_none() && titles(&editor).await.is_empty());
}

#[tokio::test]
async fn a_notice_that_comes_too_late_is_dropped_and_counted_where_it_was_tried() {
    let home = tempfile::tempdir().unwrap();
    let editor = testing::editor(home.path()).await;
    let id = destination(&editor).await;
    for (failures, given_up) in [(0, 0), (3, 1)] {
        add(&editor, id, Kind::Ended, "late").await;
        let age = move |rows: &mut Writer<'_>| {
            for mut notice in waiting(rows.view())? {
                notice.expires_at = rows.now() - Duration::from_secs(1);
                rows.put_value(&Notice::key(notice.id), &notice)?;
            }
            rows.put_value(&Delivery::key(id), &Delivery { failures, ..Delivery::default() })
        };
        editor.rows().write(age).await.unwrap();
        assert_eq!(claimed(&editor, id, Some(user(Role::User)), 7).await, None);
        assert_eq!(titles(&editor).await, Vec::<String>::new());
        let after: Delivery = editor.rows().read(move |rows| rows.value(&Delivery::key(id))).await.unwrap().unwrap();
        assert_eq!(after.given_up, given_up);
    }
}

#[tokio::test]
async fn the_outbox_has_an_end_and_the_oldest_give_way() {
    let home = tempfile::tempdir().unwrap();
    let editor = testing::editor(home.path()).await;
    let id = destination(&editor).await;
    add(&editor, id, Kind::Ended, "oldest").await;
    let many = move |rows: &mut Writer<'_>| {
        for _ in 0..499 {
            put(rows, id, Kind::Ended, facts("more"))?;
        }
        Ok(())
    };
    editor.rows().write(many).await.unwrap();
    assert_eq!(titles(&editor).await.len(), 500);
    add(&editor, id, Kind::Failed, "newest").await;
    let titles = titles(&editor).await;
    assert_eq!((titles.len(), titles[0].as_str(), titles[499].as_str()), (500, "more x1", "newest x1"));
}

#[tokio::test]
async fn what_was_told_once_is_not_told_again_after_it_was_delivered() {
    let home = tempfile::tempdir().unwrap();
    let editor = testing::editor(home.path()).await;
    let id = destination(&editor).await;
    for told in [true, false, false] {
        let once =
            move |rows: &mut Writer<'_>| put_once(rows, id, "soon/x/1", rows.now(), (Kind::StartsSoon, facts("soon")));
        assert_eq!(editor.rows().write(once).await.unwrap(), told);
        let deliver = |rows: &mut Writer<'_>| {
            waiting(rows.view())?.iter().for_each(|notice| rows.delete_value(&Notice::key(notice.id)));
            Ok(())
        };
        editor.rows().write(deliver).await.unwrap();
    }
}

#[tokio::test]
async fn missed_occurrences_of_one_schedule_become_one_notice_until_it_is_on_its_way() {
    let home = tempfile::tempdir().unwrap();
    let editor = testing::editor(home.path()).await;
    let id = destination(&editor).await;
    let miss = async |schedule: u128, times: usize| {
        let run = Run {
            stream_id: Uuid::from_u128(3),
            stream_title: format!("of {schedule}"),
            schedule_id: Some(Uuid::from_u128(schedule)),
            occurrence_at: Some(Timestamp::UNIX_EPOCH),
            occurrence_name: None,
            started_at: None,
            planned_stop: None,
            ended_at: Some(Timestamp::UNIX_EPOCH),
            outcome: Some(RunOutcome::Missed),
            reason: Some(Message::new("schedule-missed-busy")),
            started_by: String::new(),
            videos: Vec::new(),
            order: PlayOrder::Listed,
            repeat: false,
            overlay: None,
            bitrate: 0,
            cpu: 0,
            extra_mib: 0,
            restarts: 0,
            attempts: 0,
            bytes: 0,
            targets: Vec::new(),
        };
        let write = move |rows: &mut Writer<'_>| {
            for _ in 0..times {
                run_missed(rows, Uuid::now_v7(), &run)?;
            }
            Ok(())
        };
        editor.rows().write(write).await.unwrap();
    };
    miss(1, 3).await;
    miss(2, 1).await;
    miss(1, 2).await;
    assert_eq!(titles(&editor).await, ["of 1 x5", "of 2 x1"]);
    assert_eq!(claimed(&editor, id, Some(user(Role::User)), 7).await, Some(2));
    miss(1, 2).await;
    assert_eq!(titles(&editor).await, ["of 1 x5", "of 2 x1", "of 1 x2"]);
}

#[test]
fn few_are_told_at_once_and_fewer_of_one_tenant() {
    let mut queue = Queue::default();
    let place = |tenant: &str, number: u128| (Tenant::parse(tenant).unwrap(), Uuid::from_u128(number));
    let now = Timestamp::UNIX_EPOCH;
    for number in 0..10 {
        queue.due.insert(place("al", number), now);
    }
    queue.due.insert(place("bo", 1), now - Duration::from_secs(1));
    queue.due.insert(place("bo", 2), now + Duration::from_secs(1));
    let taken = queue.take(now);
    assert_eq!((taken.len(), &taken[0]), (AT_ONCE_OF_TENANT + 1, &place("bo", 1)));
    assert_eq!(queue.take(now).len(), 0);
    queue.busy.remove(&place("al", 0));
    assert_eq!(queue.take(now).len(), 1);
    queue.due.retain(|(tenant, _), _| tenant.as_str() == "bo");
    assert_eq!(queue.rest(now), Duration::from_secs(1));
}
