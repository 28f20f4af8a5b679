//! The calls about registries and the tenant's own lists, and the same over gRPC. See [`super::calls`] and [`super::grpc`].

use tonic::{Request, Response, Status};

use super::calls::Calls;
use super::grpc::{Answer, Grpc};
use super::incoming::Incoming;
use crate::access::Role;
use crate::proto::v1;
use crate::proto::v1::registry_service_server::RegistryService;

/// What numbers beyond the first are charged: the first is charged where it came in.
fn further(numbers: &[String]) -> u32 {
    u32::try_from(numbers.len().saturating_sub(1)).unwrap_or(u32::MAX)
}

impl Calls {
    /// `RegistryService.ListRegistries`.
    ///
    /// # Errors
    /// See [`Calls::check`].
    pub async fn list_registries(
        &self,
        incoming: Incoming,
        _request: v1::ListRegistriesRequest,
    ) -> Result<v1::ListRegistriesResponse, Status> {
        let answer = incoming
            .within(Role::ManageLists, async |permit| {
                self.of(permit)?.list_registries(permit, incoming.clock().now).await
            })
            .await;
        self.done("ListRegistries", &incoming, answer)
    }

    /// `RegistryService.LookUp`.
    ///
    /// # Errors
    /// See [`Calls::check`].
    pub async fn look_up(&self, incoming: Incoming, request: v1::LookUpRequest) -> Result<v1::LookUpResponse, Status> {
        let answer = incoming
            .within(Role::ManageLists, async |permit| {
                self.of(permit)?.look_up_number(permit, &request, incoming.clock().now).await
            })
            .await;
        self.done("LookUp", &incoming, answer)
    }

    /// `RegistryService.PutList`.
    ///
    /// # Errors
    /// See [`Calls::check`].
    pub async fn put_list(
        &self,
        incoming: Incoming,
        request: v1::PutListRequest,
    ) -> Result<v1::PutListResponse, Status> {
        let answer = incoming
            .within(Role::ManageLists, async |permit| {
                self.of(permit)?.put_list(permit, request, incoming.clock()).await
            })
            .await;
        self.done("PutList", &incoming, answer)
    }

    /// `RegistryService.AddToList`.
    ///
    /// # Errors
    /// See [`Calls::check`]. A number that is refused is a result of its own.
    pub async fn add_to_list(
        &self,
        incoming: Incoming,
        request: v1::AddToListRequest,
    ) -> Result<v1::AddToListResponse, Status> {
        let answer = incoming
            .within(Role::ManageLists, async |permit| {
                incoming.charge(further(&request.numbers))?;
                self.of(permit)?.add_to_list(permit, &request, incoming.clock()).await
            })
            .await;
        self.done("AddToList", &incoming, answer)
    }

    /// `RegistryService.RemoveFromList`.
    ///
    /// # Errors
    /// See [`Calls::check`]. A number that is refused is a result of its own.
    pub async fn remove_from_list(
        &self,
        incoming: Incoming,
        request: v1::RemoveFromListRequest,
    ) -> Result<v1::RemoveFromListResponse, Status> {
        let answer = incoming
            .within(Role::ManageLists, async |permit| {
                incoming.charge(further(&request.numbers))?;
                self.of(permit)?.remove_from_list(permit, &request, incoming.clock()).await
            })
            .await;
        self.done("RemoveFromList", &incoming, answer)
    }
}

#[tonic::async_trait]
impl RegistryService for Grpc {
    async fn list_registries(&self, request: Request<v1::ListRegistriesRequest>) -> Answer<v1::ListRegistriesResponse> {
        let incoming = self.incoming(&request);
        self.0.list_registries(incoming, request.into_inner()).await.map(Response::new)
    }

    async fn look_up(&self, request: Request<v1::LookUpRequest>) -> Answer<v1::LookUpResponse> {
        let incoming = self.incoming(&request);
        self.0.look_up(incoming, request.into_inner()).await.map(Response::new)
    }

    async fn put_list(&self, request: Request<v1::PutListRequest>) -> Answer<v1::PutListResponse> {
        let incoming = self.incoming(&request);
        self.0.put_list(incoming, request.into_inner()).await.map(Response::new)
    }

    async fn add_to_list(&self, request: Request<v1::AddToListRequest>) -> Answer<v1::AddToListResponse> {
        let incoming = self.incoming(&request);
        self.0.add_to_list(incoming, request.into_inner()).await.map(Response::new)
    }

    async fn remove_from_list(
        &self,
        request: Request<v1::RemoveFromListRequest>,
    ) -> Answer<v1::RemoveFromListResponse> {
        let incoming = self.incoming(&request);
        self.0.remove_from_list(incoming, request.into_inner()).await.map(Response::new)
    }
}
