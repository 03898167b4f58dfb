//! Writes non-delivery and delay reports and spools them like any other mail.
