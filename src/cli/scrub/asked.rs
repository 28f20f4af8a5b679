//! Rows asked of a server: each until it has its answer, or what stands in the way does not pass.

use std::time::Duration;

use prost::Message as _;

use super::answer::{Answer, invalid, of_message};
use crate::cli::again::{self, Again};
use crate::cli::remote::Wire;
use crate::cli::{Error, remote};
use crate::proto::rpc::Status;
use crate::proto::v1;
use crate::proto::v1::check_service_client::CheckServiceClient;

/// What came of rows that were sent.
pub(super) struct Sent {
    /// In the order sent, and perhaps fewer; `None`: of this row something that passes by itself.
    answers: Vec<Option<Answer>>,
    /// What passes by itself, where some rows have no answer.
    refused: Option<tonic::Status>,
}

/// Asks about rows until each has its answer, again about those alone that have none: a dry run counts nothing, and an
/// `attempt_id` counts once.
pub(super) async fn asked<F: Future<Output = Result<Sent, Error>>>(
    rows: Vec<v1::CheckStreamRequest>,
    mut send: impl FnMut(Vec<v1::CheckStreamRequest>) -> F,
    mut again: Again<'_>,
) -> Result<Vec<Answer>, Error> {
    let mut answers: Vec<Option<Answer>> = rows.iter().map(|_| None).collect();
    loop {
        let open: Vec<usize> =
            (0..).zip(&answers).filter(|(_, answer)| answer.is_none()).map(|(place, _)| place).collect();
        if open.is_empty() {
            return Ok(answers.into_iter().flatten().collect());
        }
        let sent = send(open.iter().filter_map(|place| rows.get(*place).cloned()).collect()).await?;
        let mut some = false;
        for (place, answer) in open.into_iter().zip(sent.answers) {
            some |= answer.is_some();
            if let Some(slot) = answers.get_mut(place) {
                *slot = answer;
            }
        }
        if some {
            again.answered();
        }
        if let Some(status) = sent.refused {
            again.wait(status).await.map_err(|status| remote::refused(&status))?;
        } else if !some {
            return Err(another_number());
        }
    }
}

/// One stream for these rows, given up where nothing comes for so long.
pub(super) async fn stream(
    client: &CheckServiceClient<Wire>,
    rows: Vec<v1::CheckStreamRequest>,
    silent: Duration,
) -> Result<Sent, Error> {
    let wanted = rows.len();
    let mut answered = match client.clone().check_stream(tokio_stream::iter(rows)).await {
        Ok(answered) => answered.into_inner(),
        Err(status) => return Ok(Sent { answers: Vec::new(), refused: Some(passing(status)?) }),
    };
    answers(async || answered.message().await, wanted, silent).await
}

/// So many answers, or those that came before something stood in the way.
async fn answers(
    mut next: impl AsyncFnMut() -> Result<Option<v1::CheckStreamResponse>, tonic::Status>,
    wanted: usize,
    silent: Duration,
) -> Result<Sent, Error> {
    let mut sent = Sent { answers: Vec::with_capacity(wanted), refused: None };
    loop {
        // A way that broke without a word would be waited for as long as the system keeps it.
        let came = tokio::time::timeout(silent, next()).await.unwrap_or_else(|_| {
            Err(tonic::Status::deadline_exceeded(format!("nothing came for {} seconds", silent.as_secs())))
        });
        match came {
            Ok(Some(answer)) if sent.answers.len() < wanted => match of_result(answer.result.unwrap_or_default())? {
                Ok(answer) => sent.answers.push(Some(answer)),
                Err(status) => {
                    sent.answers.push(None);
                    sent.refused = Some(status);
                }
            },
            Ok(None) if sent.answers.len() == wanted => return Ok(sent),
            Ok(_) => return Err(another_number()),
            Err(status) => return Ok(Sent { refused: Some(passing(status)?), ..sent }),
        }
    }
}

/// What passes by itself; anything else ends the file.
fn passing(status: tonic::Status) -> Result<tonic::Status, Error> {
    if again::passes(&status) { Ok(status) } else { Err(remote::refused(&status)) }
}

fn another_number() -> Error {
    Error::said("the server answered another number of rows than it was asked")
}

fn of_result(result: v1::CheckResult) -> Result<Result<Answer, tonic::Status>, Error> {
    use v1::check_result::Result as Wire;
    match result.result {
        Some(Wire::Decision(decision)) => Ok(Ok(of_message(&decision))),
        // The row is at fault, and the next one need not be; any other error is the server's, and ends the file unless it
        // passes.
        Some(Wire::Error(Status { code, message, .. })) if code == tonic::Code::InvalidArgument as i32 => {
            Ok(Ok(invalid(message)))
        }
        Some(Wire::Error(status)) => {
            let (code, details) = (tonic::Code::from_i32(status.code), status.encode_to_vec().into());
            let status = tonic::Status::with_details(code, status.message, details);
            match again::passes(&status) {
                true => Ok(Err(status)),
                false => {
                    let message = status.message();
                    Err(Error::said(format!("the server could not answer a row ({code:?}): {message}")))
                }
            }
        }
        None => Err(Error::said("the server answered a row with nothing")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use std::cell::RefCell;

    use tonic::Code;
    use tonic_types::{ErrorDetails, StatusExt as _};

    use super::*;
    use crate::engine::Failure;
    use crate::service::status;

    fn rows(count: usize) -> Vec<v1::CheckStreamRequest> {
        let row = |id: usize| v1::CheckRequest { attempt_id: id.to_string(), ..Default::default() };
        (0..count).map(|id| v1::CheckStreamRequest { check: Some(row(id)) }).collect()
    }

    fn id(row: &v1::CheckStreamRequest) -> String {
        row.check.as_ref().unwrap().attempt_id.clone()
    }

    /// Asked by a script: what each stream answers, by the ids of its rows.
    async fn by(
        count: usize,
        script: impl Fn(usize, &[String]) -> Result<Sent, Error>,
    ) -> (Result<Vec<String>, Error>, Vec<Vec<String>>) {
        let streams = RefCell::new(Vec::new());
        let send = |rows: Vec<v1::CheckStreamRequest>| {
            let ids: Vec<_> = rows.iter().map(id).collect();
            streams.borrow_mut().push(ids.clone());
            std::future::ready(script(streams.borrow().len(), &ids))
        };
        let answers = asked(rows(count), send, Again::at_once(&|_| {})).await;
        let answers = answers.map(|answers| answers.into_iter().map(|answer| answer.message).collect());
        (answers, streams.into_inner())
    }

    fn said(ids: &[String], refuse: impl Fn(usize) -> bool) -> Vec<Option<Answer>> {
        let answer = |(place, id): (usize, &String)| (!refuse(place)).then(|| invalid(id.clone()));
        ids.iter().enumerate().map(answer).collect()
    }

    #[tokio::test]
    async fn only_rows_without_an_answer_are_asked_again_and_all_keep_their_order() {
        let (answers, streams) = by(10, |turn, ids| {
            let refused = |code| Some(tonic::Status::new(code, "busy"));
            Ok(match turn {
                1 => Sent { answers: Vec::new(), refused: refused(Code::Unavailable) },
                // Some rows are refused, each for itself.
                2 => Sent { answers: said(ids, |row| row % 3 == 1), refused: refused(Code::ResourceExhausted) },
                // Cut in the middle.
                3 => Sent { answers: said(&ids[..1], |_| false), refused: refused(Code::Unknown) },
                4 => Sent { answers: said(ids, |_| true), refused: refused(Code::Aborted) },
                _ => Sent { answers: said(ids, |_| false), refused: None },
            })
        })
        .await;
        assert_eq!(answers.unwrap(), (0..10).map(|id| id.to_string()).collect::<Vec<_>>());
        let all: Vec<_> = (0..10).map(|id| id.to_string()).collect();
        assert_eq!(streams, [all.clone(), all, all_of("147"), all_of("47"), all_of("47")]);
    }

    fn all_of(ids: &str) -> Vec<String> {
        ids.chars().map(String::from).collect()
    }

    #[tokio::test]
    async fn it_ends_where_nothing_passes() {
        let forever = |_, _: &[String]| {
            let details = ErrorDetails::with_retry_info(Some(Duration::from_secs(3_600)));
            let status = tonic::Status::with_error_details(Code::ResourceExhausted, "come back in an hour", details);
            Ok(Sent { answers: Vec::new(), refused: Some(status) })
        };
        let (answers, streams) = by(3, forever).await;
        assert!(answers.unwrap_err().to_string().contains("come back in an hour"));
        assert_eq!(streams.len(), 1);
        let (answers, _) = by(3, |_, _| Ok(Sent { answers: Vec::new(), refused: None })).await;
        assert!(answers.is_err(), "neither answers nor a reason");
    }

    /// However long all of them take, while some come.
    #[tokio::test]
    async fn a_server_that_falls_silent_is_asked_again_for_what_it_left_out() {
        let answered = std::cell::Cell::new(0);
        let next = async || {
            answered.set(answered.get() + 1);
            if answered.get() > 2 {
                std::future::pending::<()>().await;
            }
            let error = Status { code: Code::InvalidArgument as i32, message: "x".to_owned(), ..Default::default() };
            let result = Some(v1::CheckResult { result: Some(v1::check_result::Result::Error(error)) });
            Ok(Some(v1::CheckStreamResponse { result }))
        };
        let sent = answers(next, 5, Duration::from_millis(1)).await.unwrap();
        let refused = sent.refused.unwrap();
        assert_eq!((sent.answers.len(), refused.code()), (2, Code::DeadlineExceeded));
        assert!(again::passes(&refused));
    }

    #[test]
    fn the_error_of_a_row_passes_or_not_as_a_status_does() {
        let of = |failure| {
            let status = status::of(failure);
            let mut error = Status::decode(status.details()).unwrap_or_default();
            (error.code, error.message) = (status.code() as i32, status.message().to_owned());
            of_result(v1::CheckResult { result: Some(v1::check_result::Result::Error(error)) })
        };
        let refused = of(Failure::Aborted).unwrap().unwrap_err();
        assert_eq!(refused.code(), Code::Aborted);
        assert!(refused.get_details_retry_info().is_some(), "it says when to ask again");
        assert!(of(Failure::TooLate).unwrap().is_err());
        assert!(of(Failure::NotFound("x")).is_err(), "that ends the file");
    }
}
