//! How often a request waits for the server: what the speed of a check over a network rests on.

use std::time::Duration;

use super::house::{House, impatient};
use super::redis::Server;
use super::wire::Wire;

/// Longer than it takes to ask all that is asked at a time.
const AWAY: Duration = Duration::from_millis(200);

#[tokio::test(flavor = "multi_thread")]
async fn a_check_reads_once_and_writes_once() {
    let server = tokio::task::spawn_blocking(|| Server::start(&[])).await.unwrap();
    let wire = Wire::before(server.port).await;
    let mut settings = impatient(&wire.url);
    settings.timing.look = Duration::from_secs(600);
    let house = House::over(settings).await;
    // What is done once for a connection, a script or a shard.
    house.reserves(0).await;
    house.asks(1).await;
    house.asks_many(2..40).await;
    wire.count(AWAY);
    for round in 0..3 {
        house.asks(100 + round).await;
        let trips = wire.trips();
        assert_eq!(trips.len(), 1, "a dry run reads once: {trips:?}");
        house.reserves(200 + round).await;
        let trips = wire.trips();
        assert_eq!(trips.len(), 2, "a reservation reads once and writes once: {trips:?}");
        house.asks_many(300 + 200 * round..500 + 200 * round).await;
        let trips = wire.trips();
        assert!((1..=2).contains(&trips.len()), "two hundred rows in a trip or two, not {}", trips.len());
    }
}
