package dev.precis.spark;

import dev.precis.training.GradientExchange;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.List;
import java.util.Map;

/**
 * Adds up gradients over connections from each process to the next one, and from the last to the
 * first. A step's sum passes every process twice, in pieces:
 *
 * <pre>
 *   first   0 -> 1 -> ... -> N-1        each adds its micro-batches, one by one, to what comes
 *   then    N-1 -> 0 -> ... -> N-2      the total, as it is
 * </pre>
 *
 * so that each process sends and receives at most twice the bytes of the gradients, whatever the
 * number of processes and micro-batches, and the order of the sum is that of the micro-batches.
 *
 * <p>A thread that is interrupted while it waits closes the connections, and a process that ends
 * breaks those of its neighbours: nobody waits for one that is gone.
 */
final class GradientRing implements GradientExchange, AutoCloseable {
  /** Gradients of a piece, of 128 KiB: while one is added, others are on their ways. */
  private static final int PIECE = 1 << 15;

  private static final int MAX_SUMS_BYTES = 1 << 20;

  private final int rank;
  private final int processes;
  private final SocketChannel previous; // null: this process is alone
  private final SocketChannel next;
  private final ByteBuffer bytes =
      ByteBuffer.allocateDirect(PIECE * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);

  private GradientRing(int rank, int processes, SocketChannel previous, SocketChannel next) {
    this.rank = rank;
    this.processes = processes;
    this.previous = previous;
    this.next = next;
  }

  /** Address of a process, and what a connection to it begins with. */
  record Address(String host, int port, String secret) {}

  /**
   * Connects this process with its neighbours.
   *
   * @param own accepts the previous process, and is closed
   * @param addresses of all processes, in order
   */
  static GradientRing connect(ServerSocketChannel own, int rank, List<Address> addresses) {
    int processes = addresses.size();
    SocketChannel next = null;
    try (own) {
      if (processes == 1) {
        return new GradientRing(0, 1, null, null);
      }
      Address to = addresses.get((rank + 1) % processes);
      next = SocketChannel.open(new InetSocketAddress(to.host, to.port));
      write(next, ByteBuffer.wrap(to.secret.getBytes(StandardCharsets.US_ASCII)));
      SocketChannel previous = accept(own, addresses.get(rank).secret);
      return new GradientRing(rank, processes, previous, next);
    } catch (IOException e) {
      close(next);
      throw new UncheckedIOException("The tasks of a training cannot connect: " + e, e);
    }
  }

  /** Waits for the process that knows the secret; others are turned away. */
  private static SocketChannel accept(ServerSocketChannel own, String secret) throws IOException {
    byte[] wanted = secret.getBytes(StandardCharsets.US_ASCII);
    while (true) {
      SocketChannel caller = own.accept();
      ByteBuffer given = ByteBuffer.allocate(wanted.length);
      try {
        read(caller, given);
        if (MessageDigest.isEqual(wanted, given.array())) {
          return caller;
        }
      } catch (EOFException e) {
        // Somebody who said less than the secret.
      }
      close(caller);
    }
  }

  @Override
  public int processes() {
    return processes;
  }

  @Override
  public int rank() {
    return rank;
  }

  @Override
  public Contribution sum(List<Contribution> own, int parameters) {
    boolean last = rank == processes - 1;
    Contribution total = Contribution.zero(parameters);
    try {
      pass(total, rank > 0, own, !last);
      if (processes > 1) {
        pass(total, !last, List.of(), last || rank < processes - 2);
      }
      return total;
    } catch (IOException e) {
      throw new UncheckedIOException(
          "Task %d of %d lost a neighbour during a step: %s".formatted(rank, processes, e), e);
    }
  }

  /** Takes a sum from the previous process, adds to it, and hands it to the next one. */
  private void pass(Contribution sum, boolean receives, List<Contribution> added, boolean sends)
      throws IOException {
    if (receives) {
      sum.sums().clear();
      receiveSums(sum.sums());
    }
    added.forEach(sum::addSums);
    if (sends) {
      sendSums(sum.sums());
    }
    int parameters = sum.gradients().length;
    for (int begin = 0; begin < parameters; begin += PIECE) {
      int end = Math.min(parameters, begin + PIECE);
      if (receives) {
        bytes.clear().limit((end - begin) * Float.BYTES);
        read(previous, bytes);
        bytes.flip().asFloatBuffer().get(sum.gradients(), begin, end - begin);
      }
      for (Contribution each : added) {
        sum.addGradients(each, begin, end);
      }
      if (sends) {
        bytes.clear().limit((end - begin) * Float.BYTES);
        bytes.asFloatBuffer().put(sum.gradients(), begin, end - begin);
        write(next, bytes);
      }
    }
  }

  private void sendSums(Map<String, Double> sums) throws IOException {
    ByteArrayOutputStream text = new ByteArrayOutputStream();
    DataOutputStream out = new DataOutputStream(text);
    out.writeInt(sums.size());
    for (Map.Entry<String, Double> each : sums.entrySet()) {
      out.writeUTF(each.getKey());
      out.writeDouble(each.getValue());
    }
    write(next, ByteBuffer.allocate(Integer.BYTES).putInt(text.size()).flip());
    write(next, ByteBuffer.wrap(text.toByteArray()));
  }

  private void receiveSums(Map<String, Double> sums) throws IOException {
    ByteBuffer length = ByteBuffer.allocate(Integer.BYTES);
    read(previous, length);
    int size = length.flip().getInt();
    if (size < 0 || size > MAX_SUMS_BYTES) {
      throw new IOException("sums of " + size + " bytes");
    }
    ByteBuffer text = ByteBuffer.allocate(size);
    read(previous, text);
    DataInputStream in = new DataInputStream(new ByteArrayInputStream(text.array()));
    for (int i = in.readInt(); i > 0; i--) {
      sums.put(in.readUTF(), in.readDouble());
    }
  }

  private static void read(SocketChannel from, ByteBuffer into) throws IOException {
    while (into.hasRemaining()) {
      if (from.read(into) < 0) {
        throw new EOFException("the connection ended");
      }
    }
  }

  private static void write(SocketChannel to, ByteBuffer bytes) throws IOException {
    while (bytes.hasRemaining()) {
      to.write(bytes);
    }
  }

  private static void close(SocketChannel channel) {
    try {
      if (channel != null) {
        channel.close();
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public void close() {
    try {
      close(next);
    } finally {
      close(previous);
    }
  }
}
