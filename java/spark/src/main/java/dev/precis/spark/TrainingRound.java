package dev.precis.spark;

import dev.precis.checkpoint.ModelFolder;
import dev.precis.device.DeviceOptions;
import dev.precis.device.NativeException;
import dev.precis.io.FileTree;
import dev.precis.io.InvalidInputException;
import dev.precis.training.DivergedException;
import dev.precis.training.RunFolder;
import dev.precis.training.Trainable;
import dev.precis.training.TrainingLoop;
import java.io.IOException;
import java.io.Serializable;
import java.io.UncheckedIOException;
import java.net.InetSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.TreeMap;
import org.apache.spark.BarrierTaskContext;
import org.apache.spark.broadcast.Broadcast;
import scala.collection.Iterator;
import scala.jdk.javaapi.CollectionConverters;
import scala.runtime.AbstractFunction1;

/**
 * A task of a barrier stage: continues a run from the driver's newest checkpoint to the next one,
 * together with the other tasks of the stage, in a temporary folder.
 */
final class TrainingRound
    extends AbstractFunction1<Iterator<Integer>, Iterator<TrainingRound.Outcome>>
    implements Serializable {
  private static final String OK = "ok";

  private final Broadcast<TrainingRecipe> recipe;
  private final Broadcast<TreeMap<String, byte[]>> files;
  private final int threads;
  private final String isa;

  TrainingRound(
      Broadcast<TrainingRecipe> recipe,
      Broadcast<TreeMap<String, byte[]>> files,
      int threads,
      String isa) {
    this.recipe = recipe;
    this.files = files;
    this.threads = threads;
    this.isa = isa;
  }

  /**
   * What a task brings back.
   *
   * @param failure a sentence that another attempt would only repeat; null: none
   * @param result null where the task failed
   * @param files of the run, by the first task; null by the others
   */
  record Outcome(
      String failure, boolean diverged, TrainingLoop.Result result, TreeMap<String, byte[]> files)
      implements Serializable {}

  @Override
  public Iterator<Outcome> apply(Iterator<Integer> ranks) {
    return CollectionConverters.asScala(List.of(run(BarrierTaskContext.get())).iterator());
  }

  private Outcome run(BarrierTaskContext context) {
    Path folder = temporaryFolder();
    try (Connection connection = connect(context)) {
      RunFiles.write(files.value(), folder);
      try (RunFolder run = RunFolder.resume(folder, recipe.value().config());
          TrainingLoop loop = recipe.value().loop(connection.model, run, connection.ring)) {
        loop.resume();
        TrainingLoop.Result result =
            loop.train(
                new TrainingLoop.Listener() {
                  @Override
                  public void onCheckpoint(long step) {
                    loop.stop();
                  }
                });
        return new Outcome(
            null, false, result, connection.ring.rank() == 0 ? RunFiles.read(folder) : null);
      }
    } catch (InvalidInputException e) {
      return new Outcome(e.getMessage(), false, null, null);
    } catch (DivergedException e) {
      return new Outcome(e.getMessage(), true, null, null);
    } finally {
      FileTree.delete(folder);
    }
  }

  private static Path temporaryFolder() {
    try {
      return Files.createTempDirectory("precis-training");
    } catch (IOException e) {
      throw new UncheckedIOException("There is no room for a run: " + e.getMessage(), e);
    }
  }

  /** A loaded model, and the connections to the other tasks. */
  private record Connection(Trainable model, GradientRing ring) implements AutoCloseable {
    @Override
    public void close() {
      try (model) {
        ring.close();
      }
    }
  }

  /**
   * Loads the model and connects with the other tasks.
   *
   * @throws InvalidInputException if one of them cannot, or theirs is another model or arithmetic
   */
  private Connection connect(BarrierTaskContext context) {
    int rank = context.partitionId();
    String address = context.getTaskInfos()[rank].address();
    String host = address.substring(0, address.lastIndexOf(':'));
    Trainable model = null;
    try (ServerSocketChannel own = ServerSocketChannel.open()) {
      String[] all;
      try {
        own.bind(new InetSocketAddress(host, 0));
        int port = ((InetSocketAddress) own.getLocalAddress()).getPort();
        Path folder = ModelKey.here(recipe.value().model());
        model = recipe.value().load(folder, new DeviceOptions().threads(threads).isa(isa));
        String arithmetic = ModelKey.arithmetic(model, ModelFolder.weightsHash(folder));
        all = context.allGather(String.join("\n", OK, host, "" + port, secret(), arithmetic));
      } catch (InvalidInputException | NativeException e) {
        all = context.allGather("%s: %s".formatted(host, e.getMessage()));
      }
      GradientRing ring = GradientRing.connect(own, rank, agreed(all));
      return new Connection(model, ring);
    } catch (IOException e) {
      close(model);
      throw new UncheckedIOException("A task cannot listen on " + host + ": " + e, e);
    } catch (RuntimeException | Error e) {
      close(model);
      throw e;
    }
  }

  private static void close(Trainable model) {
    if (model != null) {
      model.close();
    }
  }

  private static String secret() {
    byte[] random = new byte[32];
    new SecureRandom().nextBytes(random);
    return HexFormat.of().formatHex(random);
  }

  /** Returns the tasks' addresses, after it made sure that all compute the same. */
  private static List<GradientRing.Address> agreed(String[] messages) {
    List<GradientRing.Address> addresses = new ArrayList<>();
    String first = null;
    for (String message : messages) {
      String[] parts = message.split("\n");
      if (!parts[0].equals(OK)) {
        throw new InvalidInputException("A task cannot train on " + message);
      }
      addresses.add(new GradientRing.Address(parts[1], Integer.parseInt(parts[2]), parts[3]));
      first = first == null ? parts[4] : first;
      if (!first.equals(parts[4])) {
        throw new InvalidInputException(
            "The executors compute with different instruction sets or weights (%s; %s on %s): put the same model on all, and set isa to one that all have"
                .formatted(first, parts[4], parts[1]));
      }
    }
    return addresses;
  }
}
