//! What is no longer used is freed on a thread of its own, so that no request pays for it.

use std::{
    any::Any,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, LazyLock,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::Duration,
};

enum Message {
    Bury(Arc<dyn Any + Send + Sync>),
    /// Answered when everything before it is freed.
    Flush(Sender<()>),
}

static GRAVEYARD: LazyLock<Option<Sender<Message>>> = LazyLock::new(|| {
    let (sender, receiver) = mpsc::channel();
    thread::Builder::new().name("ghost-graveyard".into()).spawn(move || dig(&receiver)).ok().map(|_| sender)
});

/// Frees the last reference there; without the thread, here.
pub fn bury(body: Arc<dyn Any + Send + Sync>) {
    if let Some(sender) = &*GRAVEYARD {
        _ = sender.send(Message::Bury(body));
    }
}

/// Returns when what was buried before is freed. Nobody may hold it any more.
pub fn flush() {
    let (sender, receiver) = mpsc::channel();
    if GRAVEYARD.as_ref().is_some_and(|graveyard| graveyard.send(Message::Flush(sender)).is_ok()) {
        _ = receiver.recv();
    }
}

fn dig(messages: &Receiver<Message>) {
    let mut bodies = Vec::new();
    loop {
        // While something waits for its readers, look again now and then.
        let pause = if bodies.is_empty() { Duration::from_secs(3600) } else { Duration::from_millis(20) };
        match messages.recv_timeout(pause) {
            Ok(Message::Bury(body)) => bodies.push(body),
            Ok(Message::Flush(done)) => {
                free(&mut bodies);
                _ = done.send(());
            }
            Err(RecvTimeoutError::Timeout) => free(&mut bodies),
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Drops what nobody else holds; the rest waits for its readers.
fn free(bodies: &mut Vec<Arc<dyn Any + Send + Sync>>) {
    let (unused, used) = mem::take(bodies).into_iter().partition(|body| Arc::strong_count(body) == 1);
    *bodies = used;
    let unused: Vec<_> = unused;
    _ = catch_unwind(AssertUnwindSafe(|| drop(unused)));
}
