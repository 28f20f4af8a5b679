//! A file of leads answered in one go and in memory: what stands behind [`crate::cli::look::leads`].

use std::sync::Arc;

use csv::ByteRecord;

use super::answer::Judge;
use super::input::{Input, Place};
use super::row::Rows;
use super::{Args, pipeline};
use crate::access::{Caller, Role};
use crate::cli::Error;
use crate::engine::{Clock, Engine, Failure};
use crate::proto::v1;

/// A file of leads, answered to its end or to where it breaks.
#[derive(Debug)]
pub struct Leads {
    /// What is written before the rows.
    pub head: Vec<u8>,
    /// The byte that parts the fields.
    pub delimiter: u8,
    /// Fields that every row has at least when it is written, without those that are added.
    pub width: usize,
    /// The rows, in their order.
    pub rows: Vec<Lead>,
    /// Why nothing could be read after them.
    pub broken: Option<Error>,
}

/// One row.
#[derive(Clone, PartialEq, Debug)]
pub struct Lead {
    /// Its fields as read.
    pub fields: Vec<Vec<u8>>,
    /// What is asked of it.
    pub asked: v1::CheckRequest,
    /// The row as written, with its answer.
    pub written: Vec<u8>,
    /// Where an interrupted run goes on after it.
    pub after: Mark,
}

/// A place between two rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mark(Place);

impl Args {
    /// Answers the rows of the file, those after a mark alone where one is given.
    ///
    /// # Errors
    /// The file cannot be opened, no column holds numbers, or it is shorter than the mark.
    pub(in crate::cli) async fn leads(
        &self,
        engine: &Arc<Engine>,
        clock: Clock,
        from: Option<Mark>,
    ) -> Result<Leads, Error> {
        let template = v1::CheckRequest { dry_run: true, ..self.question.request()? };
        let mut input = Input::open(&self.file, self.columns.wanted())?;
        let head = pipeline::head(input.form, input.width, input.header.as_ref())?;
        if let Some(Mark(place)) = from {
            input.go_to(place)?;
        }
        let (mut records, mut marks, mut broken) = (Vec::new(), Vec::new(), None);
        loop {
            let mut record = ByteRecord::new();
            match input.next(&mut record) {
                Ok(false) => break,
                Ok(true) => records.push(record),
                Err(error) => {
                    broken = Some(error);
                    break;
                }
            }
            marks.push(Mark(input.place()));
        }
        let permit = Caller::local_of(engine.tenant()).permit(Role::Check).map_err(Failure::from)?;
        let judge = Judge::Local { engine: Arc::clone(engine), permit, clock, forecast: None };
        let rows = Rows { columns: &input.columns, template: &template, attempts: None };
        let answers = judge.answer(rows, &records, 0, &|_| {}).await?;
        let (form, width) = (input.form, input.width);
        let leads = records.iter().zip(&answers).zip(marks).map(|((record, answer), after)| {
            let mut asked = template.clone();
            rows.fill(record, 0, &mut asked);
            let fields = record.iter().map(<[u8]>::to_vec).collect();
            Ok(Lead { fields, asked, written: pipeline::row(form, width, record, answer)?, after })
        });
        let leads = leads.collect::<Result<Vec<_>, Error>>()?;
        Ok(Leads { head, delimiter: form.delimiter, width, rows: leads, broken })
    }
}
