//! A transport in memory, as each of the crates wants it.
//!
//! It brings a stream over and over, at most 64 KiB a read, and copies what is written to a
//! place that nobody looks at, as a kernel would; it never makes anyone wait.

use std::future::Future;
use std::io::{self, Read, Write};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::floor::stream::READ_SIZE;

pub struct Memory<'a> {
    stream: &'a [u8],
    position: usize,
    sink: Sink,
}

impl<'a> Memory<'a> {
    pub fn new(stream: &'a [u8]) -> Self {
        Self {
            stream,
            position: 0,
            sink: Sink::new(),
        }
    }

    /// The next bytes, at most `size`.
    fn next(&mut self, size: usize) -> &'a [u8] {
        let rest = &self.stream[self.position..];
        let read = &rest[..rest.len().min(size).min(READ_SIZE)];
        self.position = (self.position + read.len()) % self.stream.len();
        read
    }
}

/// Where what is written goes.
pub struct Sink(Box<[u8]>);

impl Sink {
    pub fn new() -> Self {
        Self(vec![0; READ_SIZE].into())
    }

    /// Takes some of `bytes`, as a socket does.
    pub fn take(&mut self, bytes: &[u8]) -> usize {
        let n = bytes.len().min(self.0.len());
        self.0[..n].copy_from_slice(&bytes[..n]);
        std::hint::black_box(&self.0);
        n
    }

    /// Takes all of `bytes`.
    pub fn take_all(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = &bytes[self.take(bytes)..];
        }
    }
}

impl Read for Memory<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.next(buffer.len());
        buffer[..read.len()].copy_from_slice(read);
        Ok(read.len())
    }
}

impl Write for Memory<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(self.sink.take(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsyncRead for Memory<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = self.next(buffer.remaining());
        buffer.put_slice(read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Memory<'_> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(self.sink.take(bytes)))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut taken = 0;
        for slice in slices {
            let n = self.sink.take(slice);
            taken += n;
            if n < slice.len() {
                break;
            }
        }
        Poll::Ready(Ok(taken))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// The value of a future that does not wait.
pub fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("the transport never makes anyone wait"),
    }
}
