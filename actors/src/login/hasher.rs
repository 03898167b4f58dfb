//! A worker of the login room, as an actor: it computes password hashes, one at a time.
//!
//! # Owns
//! Nothing.
//!
//! # Hears
//! [`HashMsg`] from the login room.
//!
//! # Says
//! [`LoginMsg::Checked`] to the login room.
//!
//! # Supervised by
//! The advisers, `Permanent`; there are as many as `[login] workers` says.
//!
//! # When it crashes
//! The login that it was computing is answered "try again later"; the others go on.
//!
//! # Metrics
//! None of its own: the login room measures the whole.

use ractor::{Actor, ActorProcessingErr, ActorRef};
use supervision::{Seat, blocking};

use super::password;
use crate::contract::{Checked, HashMsg, LoginMsg};

/// A worker of the login room.
#[derive(Debug)]
pub struct Hasher;

/// What a worker needs to live.
#[derive(Clone, Debug)]
pub struct HasherArgs {
    /// Its number.
    pub worker: usize,
    /// Who wants to hear of it.
    pub login: Seat<LoginMsg>,
}

impl Actor for Hasher {
    type Msg = HashMsg;
    type State = HasherArgs;
    type Arguments = HasherArgs;

    async fn pre_start(
        &self,
        _: ActorRef<HashMsg>,
        args: HasherArgs,
    ) -> Result<HasherArgs, ActorProcessingErr> {
        Ok(args)
    }

    async fn handle(
        &self,
        _: ActorRef<HashMsg>,
        HashMsg::Check {
            request,
            hash,
            password,
        }: HashMsg,
        args: &mut HasherArgs,
    ) -> Result<(), ActorProcessingErr> {
        let matches = blocking(move || password::matches(&hash, &password)).await?;
        let checked = Checked {
            worker: args.worker,
            request,
            matches,
        };
        // If the login room has just restarted, whoever asked has been told so.
        let _ = args.login.cast(LoginMsg::Checked(checked));
        Ok(())
    }
}
