//! The services of policies, retention and incidents over gRPC. See [`super::grpc`].

use tonic::{Request, Response};

use super::grpc::{Answer, Grpc};
use crate::proto::v1;
use crate::proto::v1::incident_service_server::IncidentService;
use crate::proto::v1::policy_service_server::PolicyService;
use crate::proto::v1::retention_service_server::RetentionService;

#[tonic::async_trait]
impl PolicyService for Grpc {
    async fn publish_policy(&self, request: Request<v1::PublishPolicyRequest>) -> Answer<v1::PublishPolicyResponse> {
        let incoming = self.incoming(&request);
        self.0.publish_policy(incoming, request.into_inner()).await.map(Response::new)
    }

    async fn get_policy(&self, request: Request<v1::GetPolicyRequest>) -> Answer<v1::GetPolicyResponse> {
        let incoming = self.incoming(&request);
        self.0.get_policy(incoming, request.into_inner()).await.map(Response::new)
    }

    async fn list_policies(&self, request: Request<v1::ListPoliciesRequest>) -> Answer<v1::ListPoliciesResponse> {
        let incoming = self.incoming(&request);
        self.0.list_policies(incoming, request.into_inner()).await.map(Response::new)
    }

    async fn list_overtaken_consents(
        &self,
        request: Request<v1::ListOvertakenConsentsRequest>,
    ) -> Answer<v1::ListOvertakenConsentsResponse> {
        let incoming = self.incoming(&request);
        self.0.list_overtaken_consents(incoming, request.into_inner()).await.map(Response::new)
    }

    async fn transfer_seller(&self, request: Request<v1::TransferSellerRequest>) -> Answer<v1::TransferSellerResponse> {
        let incoming = self.incoming(&request);
        self.0.transfer_seller(incoming, request.into_inner()).await.map(Response::new)
    }

    async fn list_seller_transfers(
        &self,
        request: Request<v1::ListSellerTransfersRequest>,
    ) -> Answer<v1::ListSellerTransfersResponse> {
        let incoming = self.incoming(&request);
        self.0.list_seller_transfers(incoming, request.into_inner()).await.map(Response::new)
    }
}

#[tonic::async_trait]
impl RetentionService for Grpc {
    async fn sweep_contacts(&self, request: Request<v1::SweepContactsRequest>) -> Answer<v1::SweepContactsResponse> {
        let incoming = self.incoming(&request);
        self.0.sweep_contacts(incoming, request.into_inner()).await.map(Response::new)
    }

    async fn place_retention_hold(
        &self,
        request: Request<v1::PlaceRetentionHoldRequest>,
    ) -> Answer<v1::PlaceRetentionHoldResponse> {
        let incoming = self.incoming(&request);
        self.0.place_retention_hold(incoming, request.into_inner()).await.map(Response::new)
    }

    async fn release_retention_hold(
        &self,
        request: Request<v1::ReleaseRetentionHoldRequest>,
    ) -> Answer<v1::ReleaseRetentionHoldResponse> {
        let incoming = self.incoming(&request);
        self.0.release_retention_hold(incoming, request.into_inner()).await.map(Response::new)
    }

    async fn list_retention_holds(
        &self,
        request: Request<v1::ListRetentionHoldsRequest>,
    ) -> Answer<v1::ListRetentionHoldsResponse> {
        let incoming = self.incoming(&request);
        self.0.list_retention_holds(incoming, request.into_inner()).await.map(Response::new)
    }

    async fn off_board(&self, request: Request<v1::OffBoardRequest>) -> Answer<v1::OffBoardResponse> {
        let incoming = self.incoming(&request);
        self.0.off_board(incoming, request.into_inner()).await.map(Response::new)
    }

    async fn export_contacts(&self, request: Request<v1::ExportContactsRequest>) -> Answer<v1::ExportContactsResponse> {
        let incoming = self.incoming(&request);
        self.0.export_contacts(incoming, request.into_inner()).await.map(Response::new)
    }
}

#[tonic::async_trait]
impl IncidentService for Grpc {
    async fn open_incident(&self, request: Request<v1::OpenIncidentRequest>) -> Answer<v1::OpenIncidentResponse> {
        let incoming = self.incoming(&request);
        self.0.open_incident(incoming, request.into_inner()).await.map(Response::new)
    }

    async fn update_incident(&self, request: Request<v1::UpdateIncidentRequest>) -> Answer<v1::UpdateIncidentResponse> {
        let incoming = self.incoming(&request);
        self.0.update_incident(incoming, request.into_inner()).await.map(Response::new)
    }

    async fn add_affected_contacts(
        &self,
        request: Request<v1::AddAffectedContactsRequest>,
    ) -> Answer<v1::AddAffectedContactsResponse> {
        let incoming = self.incoming(&request);
        self.0.add_affected_contacts(incoming, request.into_inner()).await.map(Response::new)
    }

    async fn mark_contacts_told(
        &self,
        request: Request<v1::MarkContactsToldRequest>,
    ) -> Answer<v1::MarkContactsToldResponse> {
        let incoming = self.incoming(&request);
        self.0.mark_contacts_told(incoming, request.into_inner()).await.map(Response::new)
    }

    async fn get_incident(&self, request: Request<v1::GetIncidentRequest>) -> Answer<v1::GetIncidentResponse> {
        let incoming = self.incoming(&request);
        self.0.get_incident(incoming, request.into_inner()).await.map(Response::new)
    }

    async fn list_incidents(&self, request: Request<v1::ListIncidentsRequest>) -> Answer<v1::ListIncidentsResponse> {
        let incoming = self.incoming(&request);
        self.0.list_incidents(incoming, request.into_inner()).await.map(Response::new)
    }

    async fn list_notices(&self, request: Request<v1::ListNoticesRequest>) -> Answer<v1::ListNoticesResponse> {
        let incoming = self.incoming(&request);
        self.0.list_notices(incoming, request.into_inner()).await.map(Response::new)
    }
}
