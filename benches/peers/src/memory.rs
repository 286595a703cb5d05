//! A transport in memory, as each of the crates wants it.
//!
//! It brings a stream over and over, at most as much a read as the stream says, and copies what is
//! written to a place that nobody looks at, as a kernel would; it never makes anyone wait.

use std::future::Future;
use std::io::{self, Read, Write};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use wtx::stream::{StreamReader, StreamWriter};

use crate::floor::calls;
use crate::floor::stream::{Stream, copy};

pub struct Memory<'a> {
    stream: &'a [u8],
    read_size_max: usize,
    position: usize,
    sink: Sink,
}

impl<'a> Memory<'a> {
    pub fn new(stream: &'a Stream) -> Self {
        Self {
            stream: &stream.bytes,
            read_size_max: stream.read_size_max,
            ..Self::empty()
        }
    }

    /// Nothing to read: for those who only write.
    pub fn empty() -> Self {
        Self {
            stream: &[],
            read_size_max: 0,
            position: 0,
            sink: Sink::new(),
        }
    }

    /// The next bytes, at most `size`.
    fn next(&mut self, size: usize) -> &'a [u8] {
        calls::call();
        let rest = &self.stream[self.position..];
        let read = &rest[..rest.len().min(size).min(self.read_size_max)];
        self.position += read.len();
        if self.position == self.stream.len() {
            self.position = 0;
        }
        read
    }
}

/// Where what is written goes: for all it begins at a page, since how two places lie within theirs
/// decides what a copy takes.
pub struct Sink(Box<Pages>);

#[repr(align(4096))]
struct Pages([u8; WRITE_SIZE_MAX]);

/// The most that a write takes.
const WRITE_SIZE_MAX: usize = 64 << 10;

impl Sink {
    pub fn new() -> Self {
        Self(Box::new(Pages([0; WRITE_SIZE_MAX])))
    }

    /// Takes some of `bytes`, as one write to a socket does.
    fn write(&mut self, bytes: &[u8]) -> usize {
        calls::call();
        self.take(bytes)
    }

    /// Takes some of what lies in `slices`, as one vectored write does.
    fn write_vectored(&mut self, slices: &[io::IoSlice<'_>]) -> usize {
        calls::call();
        let mut taken = 0;
        for slice in slices {
            let n = self.take(slice);
            taken += n;
            if n < slice.len() {
                break;
            }
        }
        taken
    }

    fn take(&mut self, bytes: &[u8]) -> usize {
        let Pages(place) = &mut *self.0;
        let n = bytes.len().min(place.len());
        copy(&bytes[..n], &mut place[..n]);
        std::hint::black_box(place);
        n
    }

    /// Takes all of `bytes` for whoever counts the call himself.
    pub fn take_all(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = &bytes[self.take(bytes)..];
        }
    }
}

impl Read for Memory<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.next(buffer.len());
        copy(read, &mut buffer[..read.len()]);
        Ok(read.len())
    }
}

impl Write for Memory<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(self.sink.write(bytes))
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
        read.chunks(512).for_each(|piece| buffer.put_slice(piece));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Memory<'_> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(self.sink.write(bytes)))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(self.sink.write_vectored(slices)))
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

impl StreamReader for Memory<'_> {
    async fn read(&mut self, bytes: &mut [u8]) -> wtx::Result<usize> {
        Ok(Read::read(self, bytes)?)
    }
}

impl StreamWriter for Memory<'_> {
    async fn write_all(&mut self, bytes: &[u8]) -> wtx::Result<()> {
        Ok(Write::write_all(self, bytes)?)
    }

    async fn write_all_vectored(&mut self, bytes: &[&[u8]]) -> wtx::Result<()> {
        let mut slices = [io::IoSlice::new(&[]); 8];
        for (slice, bytes) in slices.iter_mut().zip(bytes) {
            *slice = io::IoSlice::new(bytes);
        }
        let mut slices = &mut slices[..bytes.len()];
        while !slices.is_empty() {
            let n = self.sink.write_vectored(slices);
            io::IoSlice::advance_slices(&mut slices, n);
        }
        Ok(())
    }
}

/// The value of a future that does not wait.
pub fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("the transport never makes anyone wait"),
    }
}
