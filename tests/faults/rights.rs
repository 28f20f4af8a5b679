//! Erasure under `kill -9`: a contact is erased or it is not, whatever the moment; what was answered as erased is gone
//! for good, and the same request asked again ends what was begun.

use std::time::Duration;

use ringfence::proto::v1::privacy_service_client::PrivacyServiceClient;
use ringfence::proto::v1::{self, Verdict};
use tonic::transport::{Channel, Endpoint};

use super::clients::{Client, Dice, PATIENCE, consent, notice, number, opt_out};
use super::server::House;

const ROUNDS: usize = 4;
const CONTACTS: usize = 24;

fn erase(number: &str) -> v1::EraseContactRequest {
    v1::EraseContactRequest {
        number: number.to_owned(),
        request_id: "erase".to_owned(),
        reason: v1::ErasureReason::AccountClosed.into(),
        ..Default::default()
    }
}

fn privacy(address: std::net::SocketAddr) -> PrivacyServiceClient<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap().timeout(PATIENCE);
    PrivacyServiceClient::new(endpoint.connect_lazy())
}

fn object(number: &str) -> v1::OpenRequestRequest {
    v1::OpenRequestRequest {
        number: number.to_owned(),
        request_id: "object".to_owned(),
        kind: v1::RightsRequestKind::Objection.into(),
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erasure_is_whole_or_not_begun_after_a_kill() {
    let house = House::new();
    let mut dice = Dice::new(7);
    for round in 0..ROUNDS {
        let server = house.start();
        let mut client = Client::new(server.address());
        let numbers: Vec<_> = (0..CONTACTS).map(|index| number(round * CONTACTS + index)).collect();
        for number in &numbers {
            client.consent(consent(number, "consent", "Yes, call me at home")).await.unwrap();
            client.opt_out(opt_out(number, "stop")).await.unwrap();
        }
        let mut erasing = tokio::task::JoinSet::new();
        for number in numbers.clone() {
            let mut privacy = privacy(server.address());
            erasing.spawn(async move {
                let objected = privacy.open_request(object(&number)).await.is_ok();
                let erased = privacy.erase_contact(erase(&number)).await.is_ok();
                (number, objected, erased)
            });
        }
        tokio::time::sleep(Duration::from_millis(dice.below(120) as u64)).await;
        server.kill();
        let mut told = Vec::new();
        while let Some(done) = erasing.join_next().await {
            told.push(done.unwrap());
        }
        let server = house.start();
        let mut client = Client::new(server.address());
        let mut privacy = privacy(server.address());
        for (number, objected, erased) in told {
            let contact = client.contact(&number).await;
            assert!(!erased || contact.erased_at.is_some(), "what was answered is so");
            // Erased, or as it was: never half.
            assert_eq!(contact.consents.is_empty(), contact.erased_at.is_some());
            assert!(contact.opt_outs.len() > usize::from(objected && !erased));
            // I1: the opt-out of before is seen whatever became of the rest.
            let decision = client.check(v1::CheckRequest { dry_run: true, ..notice(&number, "acme", "") }).await;
            assert_eq!(decision.unwrap().verdict(), Verdict::Deny);
            let answer = privacy.erase_contact(erase(&number)).await.unwrap().into_inner();
            assert!(answer.erased_at.is_some());
            assert!(client.contact(&number).await.consents.is_empty());
        }
        // No request is missing from the list, and none stands there that was never made.
        let mut listed = v1::ListRequestsRequest { page_size: 1_000, ..Default::default() };
        listed.state = v1::RightsRequestState::Done.into();
        let list = privacy.list_requests(listed).await.unwrap().into_inner();
        assert!(list.requests.iter().all(|request| request.closed_at.is_some()));
        assert_eq!(server.stop().code(), Some(0));
        house.assert_sound();
    }
}
