//! What each message says of itself when somebody looks at an actor: the name of its variant, and
//! how the actor is asked for its report.

use supervision::{Inquiry, Told};

use super::{
    BounceMsg, DeliveryMsg, HashMsg, ListenerMsg, LoginMsg, MailboxMsg, PoisonMsg, QueueMsg,
    ResolverMsg, RouterMsg, ScrubberMsg, SessionMsg,
};

/// Each variant is named, so that a new one is not forgotten.
macro_rules! told {
    (inspect $message:ident: $($variant:ident),*) => {
        impl Told for $message {
            told!(@kind $($variant),*);

            fn inspect() -> Option<Inquiry<Self>> {
                Some(Inquiry::new(Self::Inspect))
            }
        }
    };
    ($message:ident: $($variant:ident),*) => {
        impl Told for $message {
            told!(@kind $($variant),*);
        }
    };
    (@kind $($variant:ident),*) => {
        fn kind(&self) -> &'static str {
            match self {
                $(Self::$variant { .. } => stringify!($variant),)*
            }
        }
    };
}

told!(inspect BounceMsg: Inspect, Late, Look, Return, Written);
told!(inspect DeliveryMsg: Attempt, Inspect, Step);
told!(inspect ListenerMsg: Close, Crowded, Inspect, Look);
told!(inspect LoginMsg: Checked, Inspect, Wake, Verify);
told!(HashMsg: Check);
told!(inspect MailboxMsg: Append, Arrived, Copy, Create, Delete, Deliver, Expunge, Flag, Full, Idle, Inspect, Landed, Lock, Missed, Recent, Rename, Subscribe, Unlock, Unwatch, Watch);
told!(inspect PoisonMsg: Changed, Count, Crashed, Drop, Inspect, List, Retry, Show);
told!(inspect QueueMsg: Enqueue, Flush, Gone, Idle, Inspect, Leave, Look, More, Recorded, Settle, Wake);
told!(inspect ResolverMsg: Addresses, Answered, Forget, Inspect, Mx, Names, Texts);
told!(inspect RouterMsg: Accepted, Inspect, Look, Route);
told!(inspect ScrubberMsg: Inspect, Step);
told!(SessionMsg: Begin, Changed, Closing, Connection, Idle);
