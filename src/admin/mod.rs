//! How the house is watched and steered: the operator socket, health, and metrics.
//!
//! [`Desk`] carries out what operators ask; [`Service`] is the actor that keeps a door of this
//! room open; [`protocol`] is what goes over the operator socket.

mod accounts;
mod actors;
mod chaos;
mod desk;
mod http;
mod letters;
mod metrics;
mod poison;
pub mod protocol;
mod queue;
mod reloads;
mod service;
mod session;
mod snapshot;
mod socket;
mod view;
mod vitals;

pub use desk::{Desk, Parts};
pub use http::http;
pub use letters::{LETTERS_MAX, LETTERS_OCTETS_MAX, flag_names, role_name, with_flags};
pub use metrics::{Recorder, RecorderError};
pub use reloads::{Reload, Reloads};
pub use service::{Service, ServiceArgs, ServiceMsg};
pub use socket::{SOCKET_NAME, operator_socket};
pub use view::TreeView;
pub(crate) use vitals::processor_time;
