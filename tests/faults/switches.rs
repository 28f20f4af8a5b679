//! The stop button under `kill -9`: whatever was answered as frozen or lifted is so after every restart, and has its
//! entry in the log.

use ringfence::proto::v1::{self, freeze_target::Target};

use super::clients::{Client, notice, number};
use super::server::House;

fn freeze(campaign: &str) -> v1::FreezeRequest {
    v1::FreezeRequest {
        request_id: format!("freeze-{campaign}"),
        target: Some(v1::FreezeTarget { target: Some(Target::Campaign(campaign.to_owned())) }),
        who: "ann".to_owned(),
        why: "Wrong prices.".to_owned(),
        until: None,
    }
}

fn unfreeze(freeze: &v1::Freeze) -> v1::UnfreezeRequest {
    v1::UnfreezeRequest {
        request_id: format!("lift-{}", freeze.freeze_id),
        freeze_id: freeze.freeze_id.clone(),
        who: "bob".to_owned(),
        why: "Corrected.".to_owned(),
    }
}

async fn stopped(client: &mut Client, campaign: &str) -> bool {
    let request = v1::CheckRequest { campaign: campaign.to_owned(), dry_run: true, ..notice(&number(0), "acme", "") };
    let decision = client.check(request).await.unwrap();
    decision.reasons.iter().any(|reason| reason.rule_id == "ringfence.freeze")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_frozen_or_lifted_is_so_after_a_kill() {
    let house = House::new();
    let mut lifted = Vec::new();
    for round in 0..4 {
        let server = house.start();
        let mut client = Client::new(server.address());
        for earlier in 0..round {
            assert!(stopped(&mut client, &format!("kept-{earlier}")).await, "round {round}, frozen in {earlier}");
            assert!(!stopped(&mut client, &format!("lifted-{earlier}")).await, "round {round}, lifted in {earlier}");
        }
        let kept = client.control.freeze(freeze(&format!("kept-{round}"))).await.unwrap().into_inner();
        let brief = client.control.freeze(freeze(&format!("lifted-{round}"))).await.unwrap().into_inner();
        lifted.push(client.control.unfreeze(unfreeze(&brief.freeze.unwrap())).await.unwrap().into_inner());
        server.kill();
        assert!(kept.freeze.unwrap().lifted_at.is_none());
        house.assert_sound();
    }
    let server = house.start();
    let mut client = Client::new(server.address());
    // The same again, of a caller who lost the answer, is the first one.
    for first in lifted {
        let again = client.control.unfreeze(unfreeze(first.freeze.as_ref().unwrap())).await.unwrap().into_inner();
        assert_eq!(again, first);
    }
    let all = v1::ListFreezesRequest { history: true, ..Default::default() };
    assert_eq!(client.control.list_freezes(all).await.unwrap().into_inner().freezes.len(), 8);
}
