package dev.precis.server.http;

import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.function.Consumer;
import java.util.function.Supplier;

/** A response of server-sent events, each a JSON document; OpenAI's last one is {@code [DONE]}. */
public final class EventStream {
  private static final byte[] BEGIN = "data: ".getBytes(StandardCharsets.US_ASCII);
  private static final byte[] END = "\n\n".getBytes(StandardCharsets.US_ASCII);
  private static final byte[] DONE = "data: [DONE]\n\n".getBytes(StandardCharsets.US_ASCII);

  private final Consumer<Runnable> writer;
  private final OutputStream out;

  /**
   * Begins a stream.
   *
   * @param writer runs what writes, and ends it if the client takes too long
   */
  EventStream(Consumer<Runnable> writer, Supplier<OutputStream> out) {
    this.writer = writer;
    this.out = out.get();
    write(OutputStream::flush);
  }

  /** Writes, and may fail. */
  @FunctionalInterface
  private interface Output {
    void to(OutputStream out) throws IOException;
  }

  /** Sends an event at once; the document has no line break. */
  public void send(byte[] json) {
    byte[] event = new byte[BEGIN.length + json.length + END.length];
    System.arraycopy(BEGIN, 0, event, 0, BEGIN.length);
    System.arraycopy(json, 0, event, BEGIN.length, json.length);
    System.arraycopy(END, 0, event, BEGIN.length + json.length, END.length);
    write(
        to -> {
          to.write(event);
          to.flush();
        });
  }

  /** Ends the stream. */
  public void end() {
    write(
        to -> {
          to.write(DONE);
          to.close();
        });
  }

  private void write(Output output) {
    writer.accept(
        () -> {
          try {
            output.to(out);
          } catch (IOException e) {
            throw new UncheckedIOException(e);
          }
        });
  }
}
