//! The rules of OTP, written again.
