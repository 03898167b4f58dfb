//! What is said of harm on purpose.

use serde::{Deserialize, Serialize};
use supervision::Fate;

/// Actors that are being harmed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct HarmView {
    /// Who.
    pub aimed: Vec<AimView>,
    /// What has become of blows since this was last told.
    pub fates: Vec<BlowView>,
}

/// An actor that is being harmed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct AimView {
    /// Its place in the supervision tree.
    pub path: String,
    /// The number of the blow on this connection.
    pub blow: u64,
}

/// What has become of a blow.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct BlowView {
    /// Its number on this connection.
    pub blow: u64,
    /// Whether it has struck.
    pub fate: Fate,
}
