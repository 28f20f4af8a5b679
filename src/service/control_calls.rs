//! The calls of control, and about processors. See [`super::calls`].

use tonic::Status;

use super::calls::Calls;
use super::incoming::Incoming;
use crate::access::Role;
use crate::proto::v1;

impl Calls {
    /// `ControlService.Freeze`.
    ///
    /// # Errors
    /// See [`Calls::check`].
    pub async fn freeze(&self, incoming: Incoming, request: v1::FreezeRequest) -> Result<v1::FreezeResponse, Status> {
        let answer = incoming
            .within(Role::Control, async |permit| self.of(permit)?.freeze(permit, request, incoming.clock()).await)
            .await;
        self.done("Freeze", &incoming, answer)
    }

    /// `ControlService.Unfreeze`.
    ///
    /// # Errors
    /// See [`Calls::check`].
    pub async fn unfreeze(
        &self,
        incoming: Incoming,
        request: v1::UnfreezeRequest,
    ) -> Result<v1::UnfreezeResponse, Status> {
        let answer = incoming
            .within(Role::Control, async |permit| self.of(permit)?.unfreeze(permit, request, incoming.clock()).await)
            .await;
        self.done("Unfreeze", &incoming, answer)
    }

    /// `ControlService.DeclareEmergency`.
    ///
    /// # Errors
    /// See [`Calls::check`].
    pub async fn declare_emergency(
        &self,
        incoming: Incoming,
        request: v1::DeclareEmergencyRequest,
    ) -> Result<v1::DeclareEmergencyResponse, Status> {
        let answer = incoming
            .within(Role::Control, async |permit| {
                self.of(permit)?.declare_emergency(permit, request, incoming.clock()).await
            })
            .await;
        self.done("DeclareEmergency", &incoming, answer)
    }

    /// `ControlService.EndEmergency`.
    ///
    /// # Errors
    /// See [`Calls::check`].
    pub async fn end_emergency(
        &self,
        incoming: Incoming,
        request: v1::EndEmergencyRequest,
    ) -> Result<v1::EndEmergencyResponse, Status> {
        let answer = incoming
            .within(Role::Control, async |permit| {
                self.of(permit)?.end_emergency(permit, request, incoming.clock()).await
            })
            .await;
        self.done("EndEmergency", &incoming, answer)
    }

    /// `ControlService.ListFreezes`.
    ///
    /// # Errors
    /// See [`Calls::check`].
    pub async fn list_freezes(
        &self,
        incoming: Incoming,
        request: v1::ListFreezesRequest,
    ) -> Result<v1::ListFreezesResponse, Status> {
        let answer = incoming
            .within(Role::Control, async |permit| {
                self.of(permit)?.list_freezes(permit, &request, incoming.clock().now).await
            })
            .await;
        self.done("ListFreezes", &incoming, answer)
    }

    /// `ControlService.ListEmergencies`.
    ///
    /// # Errors
    /// See [`Calls::check`].
    pub async fn list_emergencies(
        &self,
        incoming: Incoming,
        request: v1::ListEmergenciesRequest,
    ) -> Result<v1::ListEmergenciesResponse, Status> {
        let answer = incoming
            .within(Role::Control, async |permit| {
                self.of(permit)?.list_emergencies(permit, &request, incoming.clock().now).await
            })
            .await;
        self.done("ListEmergencies", &incoming, answer)
    }

    /// `ProcessorService.PutProcessor`.
    ///
    /// # Errors
    /// See [`Calls::check`].
    pub async fn put_processor(
        &self,
        incoming: Incoming,
        request: v1::PutProcessorRequest,
    ) -> Result<v1::PutProcessorResponse, Status> {
        let answer = incoming
            .within(Role::Control, async |permit| {
                self.of(permit)?.put_processor(permit, request, incoming.clock()).await
            })
            .await;
        self.done("PutProcessor", &incoming, answer)
    }

    /// `ProcessorService.RemoveProcessor`.
    ///
    /// # Errors
    /// See [`Calls::check`].
    pub async fn remove_processor(
        &self,
        incoming: Incoming,
        request: v1::RemoveProcessorRequest,
    ) -> Result<v1::RemoveProcessorResponse, Status> {
        let answer = incoming
            .within(Role::Control, async |permit| {
                self.of(permit)?.remove_processor(permit, request, incoming.clock()).await
            })
            .await;
        self.done("RemoveProcessor", &incoming, answer)
    }

    /// `ProcessorService.ResumeProcessor`.
    ///
    /// # Errors
    /// See [`Calls::check`].
    pub async fn resume_processor(
        &self,
        incoming: Incoming,
        request: v1::ResumeProcessorRequest,
    ) -> Result<v1::ResumeProcessorResponse, Status> {
        let answer = incoming
            .within(Role::Control, async |permit| {
                self.of(permit)?.resume_processor(permit, request, incoming.clock()).await
            })
            .await;
        self.done("ResumeProcessor", &incoming, answer)
    }

    /// `ProcessorService.ListProcessors`.
    ///
    /// # Errors
    /// See [`Calls::check`].
    pub async fn list_processors(
        &self,
        incoming: Incoming,
        request: v1::ListProcessorsRequest,
    ) -> Result<v1::ListProcessorsResponse, Status> {
        let answer =
            incoming.within(Role::Audit, async |permit| self.of(permit)?.list_processors(permit, &request).await).await;
        self.done("ListProcessors", &incoming, answer)
    }

    /// `ProcessorService.GetProcessorStatus`.
    ///
    /// # Errors
    /// See [`Calls::check`].
    pub async fn get_processor_status(
        &self,
        incoming: Incoming,
        request: v1::GetProcessorStatusRequest,
    ) -> Result<v1::GetProcessorStatusResponse, Status> {
        let answer = incoming
            .within(Role::Audit, async |permit| {
                self.of(permit)?.processor_status(permit, &request, incoming.clock().now).await
            })
            .await;
        self.done("GetProcessorStatus", &incoming, answer)
    }

    /// `ProcessorService.ConfirmOptOuts`.
    ///
    /// # Errors
    /// See [`Calls::check`].
    pub async fn confirm_opt_outs(
        &self,
        incoming: Incoming,
        request: v1::ConfirmOptOutsRequest,
    ) -> Result<v1::ConfirmOptOutsResponse, Status> {
        let answer = incoming
            .within(Role::ReadContacts, async |permit| {
                self.of(permit)?.confirm_opt_outs(permit, &request, incoming.clock().now).await
            })
            .await;
        self.done("ConfirmOptOuts", &incoming, answer)
    }
}
