package dev.precis.hub;

import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.SocketTimeoutException;
import java.time.Duration;

/**
 * A response's body whose reading fails when nothing arrives for too long: the HTTP client's own
 * timeout ends with the response's headers.
 */
final class StallGuard extends FilterInputStream {
  private final Duration limit;
  private final Thread watch;
  private volatile long lastRead = System.nanoTime();
  private volatile boolean stalled;

  StallGuard(InputStream body, Duration limit) {
    super(body);
    this.limit = limit;
    this.watch = Thread.ofVirtual().start(this::watch);
  }

  private void watch() {
    try {
      long left;
      while ((left = limit.toNanos() - (System.nanoTime() - lastRead)) > 0) {
        Thread.sleep(Duration.ofNanos(left));
      }
      stalled = true;
      in.close(); // Wakes the reader.
    } catch (InterruptedException | IOException e) {
      // Closed, or already broken: the reader knows.
    }
  }

  @Override
  public int read() throws IOException {
    byte[] one = new byte[1];
    return read(one, 0, 1) < 0 ? -1 : Byte.toUnsignedInt(one[0]);
  }

  @Override
  public int read(byte[] target, int offset, int length) throws IOException {
    try {
      int count = super.read(target, offset, length);
      lastRead = System.nanoTime();
      if (!stalled) {
        return count;
      }
    } catch (IOException e) {
      if (!stalled) {
        throw e;
      }
    }
    throw new SocketTimeoutException("nothing arrived for " + limit.toSeconds() + " seconds");
  }

  @Override
  public void close() throws IOException {
    watch.interrupt();
    super.close();
  }
}
