//! The calls about policies, retention and incidents. See [`super::calls`].

use tonic::Status;

use super::calls::Calls;
use super::incoming::Incoming;
use crate::access::Role;
use crate::proto::v1;

impl Calls {
    /// `PolicyService.PublishPolicy`.
    ///
    /// # Errors
    /// See [`Calls::check`].
    pub async fn publish_policy(
        &self,
        incoming: Incoming,
        request: v1::PublishPolicyRequest,
    ) -> Result<v1::PublishPolicyResponse, Status> {
        let answer = incoming
            .within(Role::Administer, async |permit| {
                self.of(permit)?.publish_policy(permit, request, incoming.clock()).await
            })
            .await;
        self.done("PublishPolicy", &incoming, answer)
    }

    /// `PolicyService.GetPolicy`.
    ///
    /// # Errors
    /// See [`Calls::check`].
    pub async fn get_policy(
        &self,
        incoming: Incoming,
        request: v1::GetPolicyRequest,
    ) -> Result<v1::GetPolicyResponse, Status> {
        let answer = incoming
            .within(Role::ReadLaw, async |permit| self.of(permit)?.policy(permit, &request, incoming.clock().now).await)
            .await;
        let answer = answer.map(|policy| v1::GetPolicyResponse { policy: Some(policy) });
        self.done("GetPolicy", &incoming, answer)
    }

    /// `PolicyService.ListPolicies`.
    ///
    /// # Errors
    /// See [`Calls::check`].
    pub async fn list_policies(
        &self,
        incoming: Incoming,
        request: v1::ListPoliciesRequest,
    ) -> Result<v1::ListPoliciesResponse, Status> {
        let answer =
            incoming.within(Role::ReadLaw, async |permit| self.of(permit)?.list_policies(permit, &request).await).await;
        self.done("ListPolicies", &incoming, answer)
    }

    /// `PolicyService.ListOvertakenConsents`.
    ///
    /// # Errors
    /// See [`Calls::check`].
    pub async fn list_overtaken_consents(
        &self,
        incoming: Incoming,
        request: v1::ListOvertakenConsentsRequest,
    ) -> Result<v1::ListOvertakenConsentsResponse, Status> {
        let answer = incoming
            .within(Role::ReadContacts, async |permit| {
                self.of(permit)?.overtaken_consents(permit, &request, incoming.clock().now).await
            })
            .await;
        self.done("ListOvertakenConsents", &incoming, answer)
    }

    /// `PolicyService.TransferSeller`.
    ///
    /// # Errors
    /// See [`Calls::check`].
    pub async fn transfer_seller(
        &self,
        incoming: Incoming,
        request: v1::TransferSellerRequest,
    ) -> Result<v1::TransferSellerResponse, Status> {
        let answer = incoming
            .within(Role::Administer, async |permit| {
                self.of(permit)?.transfer_seller(permit, request, incoming.clock()).await
            })
            .await;
        self.done("TransferSeller", &incoming, answer)
    }

    /// `PolicyService.ListSellerTransfers`.
    ///
    /// # Errors
    /// See [`Calls::check`].
    pub async fn list_seller_transfers(
        &self,
        incoming: Incoming,
        request: v1::ListSellerTransfersRequest,
    ) -> Result<v1::ListSellerTransfersResponse, Status> {
        let answer = incoming
            .within(Role::Audit, async |permit| self.of(permit)?.list_seller_transfers(permit, &request).await)
            .await;
        self.done("ListSellerTransfers", &incoming, answer)
    }

    /// `RetentionService.SweepContacts`.
    ///
    /// # Errors
    /// See [`Calls::check`].
    pub async fn sweep_contacts(
        &self,
        incoming: Incoming,
        request: v1::SweepContactsRequest,
    ) -> Result<v1::SweepContactsResponse, Status> {
        let answer = incoming
            .within(Role::Administer, async |permit| {
                self.of(permit)?.sweep_contacts(permit, &request, incoming.clock()).await
            })
            .await;
        self.done("SweepContacts", &incoming, answer)
    }

    /// `RetentionService.PlaceRetentionHold`.
    ///
    /// # Errors
    /// See [`Calls::check`].
    pub async fn place_retention_hold(
        &self,
        incoming: Incoming,
        request: v1::PlaceRetentionHoldRequest,
    ) -> Result<v1::PlaceRetentionHoldResponse, Status> {
        let answer = incoming
            .within(Role::Administer, async |permit| {
                self.of(permit)?.place_retention_hold(permit, request, incoming.clock()).await
            })
            .await;
        self.done("PlaceRetentionHold", &incoming, answer)
    }

    /// `RetentionService.ReleaseRetentionHold`.
    ///
    /// # Errors
    /// See [`Calls::check`].
    pub async fn release_retention_hold(
        &self,
        incoming: Incoming,
        request: v1::ReleaseRetentionHoldRequest,
    ) -> Result<v1::ReleaseRetentionHoldResponse, Status> {
        let answer = incoming
            .within(Role::Administer, async |permit| {
                self.of(permit)?.release_retention_hold(permit, request, incoming.clock()).await
            })
            .await;
        self.done("ReleaseRetentionHold", &incoming, answer)
    }

    /// `RetentionService.ListRetentionHolds`.
    ///
    /// # Errors
    /// See [`Calls::check`].
    pub async fn list_retention_holds(
        &self,
        incoming: Incoming,
        request: v1::ListRetentionHoldsRequest,
    ) -> Result<v1::ListRetentionHoldsResponse, Status> {
        let answer = incoming
            .within(Role::Administer, async |permit| {
                self.of(permit)?.list_retention_holds(permit, &request, incoming.clock().now).await
            })
            .await;
        self.done("ListRetentionHolds", &incoming, answer)
    }

    /// `RetentionService.OffBoard`.
    ///
    /// # Errors
    /// See [`Calls::check`].
    pub async fn off_board(
        &self,
        incoming: Incoming,
        request: v1::OffBoardRequest,
    ) -> Result<v1::OffBoardResponse, Status> {
        let answer = incoming
            .within(Role::Administer, async |permit| {
                self.of(permit)?.off_board(permit, request, incoming.clock()).await
            })
            .await;
        self.done("OffBoard", &incoming, answer)
    }

    /// `RetentionService.ExportContacts`.
    ///
    /// # Errors
    /// See [`Calls::check`].
    pub async fn export_contacts(
        &self,
        incoming: Incoming,
        request: v1::ExportContactsRequest,
    ) -> Result<v1::ExportContactsResponse, Status> {
        let answer = incoming
            .within(Role::Export, async |permit| {
                self.of(permit)?.export_contacts(permit, request, incoming.clock()).await
            })
            .await;
        self.done("ExportContacts", &incoming, answer)
    }

    /// `IncidentService.OpenIncident`.
    ///
    /// # Errors
    /// See [`Calls::check`].
    pub async fn open_incident(
        &self,
        incoming: Incoming,
        request: v1::OpenIncidentRequest,
    ) -> Result<v1::OpenIncidentResponse, Status> {
        let answer = incoming
            .within(Role::Administer, async |permit| {
                self.of(permit)?.open_incident(permit, request, incoming.clock()).await
            })
            .await;
        self.done("OpenIncident", &incoming, answer)
    }

    /// `IncidentService.UpdateIncident`.
    ///
    /// # Errors
    /// See [`Calls::check`].
    pub async fn update_incident(
        &self,
        incoming: Incoming,
        request: v1::UpdateIncidentRequest,
    ) -> Result<v1::UpdateIncidentResponse, Status> {
        let answer = incoming
            .within(Role::Administer, async |permit| {
                self.of(permit)?.update_incident(permit, request, incoming.clock()).await
            })
            .await;
        self.done("UpdateIncident", &incoming, answer)
    }

    /// `IncidentService.AddAffectedContacts`.
    ///
    /// # Errors
    /// See [`Calls::check`].
    pub async fn add_affected_contacts(
        &self,
        incoming: Incoming,
        request: v1::AddAffectedContactsRequest,
    ) -> Result<v1::AddAffectedContactsResponse, Status> {
        let answer = incoming
            .within(Role::Administer, async |permit| {
                self.of(permit)?.add_affected_contacts(permit, request, incoming.clock()).await
            })
            .await;
        self.done("AddAffectedContacts", &incoming, answer)
    }

    /// `IncidentService.MarkContactsTold`.
    ///
    /// # Errors
    /// See [`Calls::check`].
    pub async fn mark_contacts_told(
        &self,
        incoming: Incoming,
        request: v1::MarkContactsToldRequest,
    ) -> Result<v1::MarkContactsToldResponse, Status> {
        let answer = incoming
            .within(Role::Administer, async |permit| {
                self.of(permit)?.mark_contacts_told(permit, request, incoming.clock()).await
            })
            .await;
        self.done("MarkContactsTold", &incoming, answer)
    }

    /// `IncidentService.GetIncident`.
    ///
    /// # Errors
    /// See [`Calls::check`].
    pub async fn get_incident(
        &self,
        incoming: Incoming,
        request: v1::GetIncidentRequest,
    ) -> Result<v1::GetIncidentResponse, Status> {
        let answer = incoming
            .within(Role::Administer, async |permit| self.of(permit)?.incident(permit, &request.incident_id).await)
            .await;
        let answer = answer.map(|incident| v1::GetIncidentResponse { incident: Some(incident) });
        self.done("GetIncident", &incoming, answer)
    }

    /// `IncidentService.ListIncidents`.
    ///
    /// # Errors
    /// See [`Calls::check`].
    pub async fn list_incidents(
        &self,
        incoming: Incoming,
        request: v1::ListIncidentsRequest,
    ) -> Result<v1::ListIncidentsResponse, Status> {
        let answer = incoming
            .within(Role::Administer, async |permit| self.of(permit)?.list_incidents(permit, &request).await)
            .await;
        self.done("ListIncidents", &incoming, answer)
    }

    /// `IncidentService.ListNotices`.
    ///
    /// # Errors
    /// See [`Calls::check`].
    pub async fn list_notices(
        &self,
        incoming: Incoming,
        request: v1::ListNoticesRequest,
    ) -> Result<v1::ListNoticesResponse, Status> {
        let answer = incoming
            .within(Role::Administer, async |permit| {
                self.of(permit)?.list_notices(permit, &request, incoming.clock().now).await
            })
            .await;
        self.done("ListNotices", &incoming, answer)
    }
}
