//! Calls that administer teams, users, keys and clients, and read the audit log.

use sabir_proto::v1::audit_log_client::AuditLogClient;
use sabir_proto::v1::clients_client::ClientsClient;
use sabir_proto::v1::keys_client::KeysClient;
use sabir_proto::v1::teams_client::TeamsClient;
use sabir_proto::v1::users_client::UsersClient;
use sabir_proto::v1::*;

use crate::{Client, Error};

/// Declares a method of the client for each call: its words, its stub and its messages.
macro_rules! calls {
    ($($about:literal $name:ident = $stub:ident::$call:ident($request:ty) -> $answer:ty;)*) => {
        impl Client {
            $(
                #[doc = $about]
                ///
                /// # Errors
                /// [`Error::Call`] with what the server said.
                pub async fn $name(&self, request: $request) -> Result<$answer, Error> {
                    let mut stub = $stub::new(self.channel.clone()).max_decoding_message_size(self.message_limit);
                    self.within_deadline(stub.$call(self.options.request(request))).await
                }
            )*
        }
    };
}

calls! {
    "Makes a team." create_team = TeamsClient::create_team(CreateTeamRequest) -> Team;
    "Looks up a team." team = TeamsClient::get_team(GetTeamRequest) -> Team;
    "Lists teams, a page at a time." teams = TeamsClient::list_teams(ListTeamsRequest) -> ListTeamsResponse;
    "Changes a team." update_team = TeamsClient::update_team(UpdateTeamRequest) -> Team;
    "Removes a team." delete_team = TeamsClient::delete_team(DeleteTeamRequest) -> DeleteTeamResponse;
    "Makes a user." create_user = UsersClient::create_user(CreateUserRequest) -> User;
    "Looks up a user." user = UsersClient::get_user(GetUserRequest) -> User;
    "Lists users, a page at a time." users = UsersClient::list_users(ListUsersRequest) -> ListUsersResponse;
    "Changes a user." update_user = UsersClient::update_user(UpdateUserRequest) -> User;
    "Sets the password of a user." set_password = UsersClient::set_user_password(SetUserPasswordRequest) -> User;
    "Removes a user and the user's keys." delete_user = UsersClient::delete_user(DeleteUserRequest) -> DeleteUserResponse;
    "Makes a key; the answer is the only one that has it." create_key = KeysClient::create_key(CreateKeyRequest) -> NewKey;
    "Looks up a key." key = KeysClient::get_key(GetKeyRequest) -> Key;
    "Lists keys, a page at a time." keys = KeysClient::list_keys(ListKeysRequest) -> ListKeysResponse;
    "Changes a key." update_key = KeysClient::update_key(UpdateKeyRequest) -> Key;
    "Puts a new key in the place of one." rotate_key = KeysClient::rotate_key(RotateKeyRequest) -> NewKey;
    "Revokes a key." revoke_key = KeysClient::revoke_key(RevokeKeyRequest) -> Key;
    "Makes a client; the answer is the only one that has its secret."
        create_client = ClientsClient::create_client(CreateClientRequest) -> ClientWithSecret;
    "Lists clients, a page at a time." clients = ClientsClient::list_clients(ListClientsRequest) -> ListClientsResponse;
    "Gives a client a new secret in the place of the old one."
        rotate_client_secret = ClientsClient::rotate_client_secret(RotateClientSecretRequest) -> ClientWithSecret;
    "Removes a client." delete_client = ClientsClient::delete_client(DeleteClientRequest) -> DeleteClientResponse;
    "Reads the audit log, a page at a time."
        audit_entries = AuditLogClient::list_audit_entries(ListAuditEntriesRequest) -> ListAuditEntriesResponse;
}
