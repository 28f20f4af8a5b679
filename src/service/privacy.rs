//! The calls about requests of people, erasures and holds. See [`super::calls`].

use tonic::Status;

use super::calls::Calls;
use super::incoming::Incoming;
use crate::access::Role;
use crate::proto::v1;

impl Calls {
    /// `PrivacyService.OpenRequest`.
    ///
    /// # Errors
    /// See [`Calls::check`].
    pub async fn open_request(
        &self,
        incoming: Incoming,
        request: v1::OpenRequestRequest,
    ) -> Result<v1::OpenRequestResponse, Status> {
        let answer = incoming
            .within(Role::Privacy, async |permit| {
                self.of(permit)?.open_request(permit, request, incoming.clock()).await
            })
            .await;
        self.done("OpenRequest", &incoming, answer)
    }

    /// `PrivacyService.ExportContact`.
    ///
    /// # Errors
    /// See [`Calls::check`].
    pub async fn export_contact(
        &self,
        incoming: Incoming,
        request: v1::ExportContactRequest,
    ) -> Result<v1::ExportContactResponse, Status> {
        let answer = incoming
            .within(Role::Privacy, async |permit| {
                self.of(permit)?.export_contact(permit, request, incoming.clock()).await
            })
            .await;
        self.done("ExportContact", &incoming, answer)
    }

    /// `PrivacyService.EraseContact`.
    ///
    /// # Errors
    /// See [`Calls::check`].
    pub async fn erase_contact(
        &self,
        incoming: Incoming,
        request: v1::EraseContactRequest,
    ) -> Result<v1::EraseContactResponse, Status> {
        let answer = incoming
            .within(Role::Privacy, async |permit| {
                self.of(permit)?.erase_contact(permit, request, incoming.clock()).await
            })
            .await;
        self.done("EraseContact", &incoming, answer)
    }

    /// `PrivacyService.ListRequests`.
    ///
    /// # Errors
    /// See [`Calls::check`].
    pub async fn list_requests(
        &self,
        incoming: Incoming,
        request: v1::ListRequestsRequest,
    ) -> Result<v1::ListRequestsResponse, Status> {
        let answer = incoming
            .within(Role::Privacy, async |permit| {
                self.of(permit)?.list_requests(permit, &request, incoming.clock()).await
            })
            .await;
        self.done("ListRequests", &incoming, answer)
    }

    /// `PrivacyService.ResolveRequest`.
    ///
    /// # Errors
    /// See [`Calls::check`].
    pub async fn resolve_request(
        &self,
        incoming: Incoming,
        request: v1::ResolveRequestRequest,
    ) -> Result<v1::ResolveRequestResponse, Status> {
        let answer = incoming
            .within(Role::Privacy, async |permit| {
                self.of(permit)?.resolve_request(permit, request, incoming.clock()).await
            })
            .await;
        self.done("ResolveRequest", &incoming, answer)
    }

    /// `PrivacyService.PlaceHold`.
    ///
    /// # Errors
    /// See [`Calls::check`].
    pub async fn place_hold(
        &self,
        incoming: Incoming,
        request: v1::PlaceHoldRequest,
    ) -> Result<v1::PlaceHoldResponse, Status> {
        let answer = incoming
            .within(Role::Privacy, async |permit| self.of(permit)?.place_hold(permit, request, incoming.clock()).await)
            .await;
        self.done("PlaceHold", &incoming, answer)
    }

    /// `PrivacyService.LiftHold`.
    ///
    /// # Errors
    /// See [`Calls::check`].
    pub async fn lift_hold(
        &self,
        incoming: Incoming,
        request: v1::LiftHoldRequest,
    ) -> Result<v1::LiftHoldResponse, Status> {
        let answer = incoming
            .within(Role::Privacy, async |permit| self.of(permit)?.lift_hold(permit, request, incoming.clock()).await)
            .await;
        self.done("LiftHold", &incoming, answer)
    }

    /// `PrivacyService.GetRequest`.
    ///
    /// # Errors
    /// See [`Calls::check`].
    pub async fn get_request(
        &self,
        incoming: Incoming,
        request: v1::GetRequestRequest,
    ) -> Result<v1::GetRequestResponse, Status> {
        let now = incoming.clock().now;
        let answer = incoming
            .within(Role::Privacy, async |permit| self.of(permit)?.get_request(permit, &request, now).await)
            .await;
        let answer = answer.map(|request| v1::GetRequestResponse { request: Some(request) });
        self.done("GetRequest", &incoming, answer)
    }
}
