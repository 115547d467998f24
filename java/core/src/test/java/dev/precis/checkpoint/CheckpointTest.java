package dev.precis.checkpoint;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Fixtures;
import dev.precis.io.InvalidInputException;
import dev.precis.tensor.DType;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.zip.ZipEntry;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class CheckpointTest {
  @TempDir Path folder;

  private static TensorView tensor(String name, float... values) {
    return new TensorView(
        name, DType.FLOAT32, new long[] {values.length}, MemorySegment.ofArray(values));
  }

  private void write(String file, TensorView... tensors) {
    if (file.endsWith(".bin")) {
      PickleBytes.save(folder.resolve(file), List.of(tensors), ZipEntry.STORED);
    } else {
      SafeTensors.write(folder.resolve(file), List.of(tensors), Map.of("format", "pt"));
    }
  }

  private void index(String file, String weightMap) throws IOException {
    Files.writeString(
        folder.resolve(file), "{\"metadata\":{\"total_size\":8},\"weight_map\":" + weightMap + "}");
  }

  private String refusal() {
    return assertThrows(InvalidInputException.class, () -> Checkpoint.open(folder).close())
        .getMessage();
  }

  @Test
  void readsAFolder() {
    try (Checkpoint checkpoint = Checkpoint.open(Fixtures.resource("fixtures/t5-tiny"))) {
      TensorView shared = checkpoint.get("shared.weight");
      assertEquals(DType.FLOAT32, shared.dtype());
      assertArrayEquals(new long[] {416, 64}, shared.shape());
      assertSame(shared, checkpoint.get("shared.weight"));
      assertEquals(Map.of("format", "pt"), checkpoint.metadata());
      assertTrue(checkpoint.find("no.such").isEmpty());
      float before = shared.toFloat32()[100];
      checkpoint.release(shared.name());
      assertEquals(before, shared.toFloat32()[100], "a released tensor is read again");
    }
  }

  @Test
  void takesTheFirstFormatThatIsThere() throws IOException {
    write("shard.bin", tensor("w", 4));
    index("pytorch_model.bin.index.json", "{\"w\":\"shard.bin\"}");
    assertFirst(4);
    write("pytorch_model.bin", tensor("w", 3));
    assertFirst(3);
    write("shard.safetensors", tensor("w", 2));
    index("model.safetensors.index.json", "{\"w\":\"shard.safetensors\"}");
    assertFirst(2);
    write("model.safetensors", tensor("w", 1));
    assertFirst(1);
  }

  private void assertFirst(float expected) {
    try (Checkpoint checkpoint = Checkpoint.open(folder)) {
      assertEquals(expected, checkpoint.get("w").toFloat32()[0]);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"model.safetensors", "pytorch_model.bin"})
  void joinsShards(String format) throws IOException {
    String extension = format.substring(format.lastIndexOf('.'));
    write("part-1" + extension, tensor("a", 1, 2), tensor("unlisted", 9));
    write("part-2" + extension, tensor("b", 3), tensor("c", 4));
    index(
        format + ".index.json",
        "{'a':'part-1X','b':'part-2X','c':'part-2X'}".replace('\'', '"').replace("X", extension));
    try (Checkpoint checkpoint = Checkpoint.open(folder)) {
      assertEquals(Set.of("a", "b", "c"), checkpoint.names());
      assertArrayEquals(new float[] {1, 2}, checkpoint.get("a").toFloat32());
      assertArrayEquals(new float[] {4}, checkpoint.get("c").toFloat32());
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "{'w':'../outside.safetensors'} | not a plain file name",
        "{'w':'/etc/passwd'} | not a plain file name",
        "{'w':'sub/x.safetensors'} | not a plain file name",
        "{'w':'..'} | not a plain file name",
        "{'w':''} | not a plain file name",
        "{'w':'x\\u0000y'} | not a plain file name",
        "{'w':'missing.safetensors'} | missing: finish the download",
        "{'w':'link.safetensors'} | a link out of the model's folder",
        "{'other':'good.safetensors'} | does not hold it",
        "{'w':3} | must be a text, but is 3",
        "{} | names no tensors",
        "[] | must be an object",
      })
  void refusesIndexes(String weightMap, String reason, @TempDir Path elsewhere) throws IOException {
    write("good.safetensors", tensor("w", 1));
    Files.copy(folder.resolve("good.safetensors"), elsewhere.resolve("x.safetensors"));
    Files.createSymbolicLink(
        folder.resolve("link.safetensors"), elsewhere.resolve("x.safetensors"));
    index("model.safetensors.index.json", weightMap.replace('\'', '"'));
    String message = refusal();
    assertTrue(message.contains(reason), message);
    assertTrue(message.contains("index.json"), message);
  }

  /** The hub's cache keeps a snapshot's files as links to blobs beside the snapshots. */
  @Test
  void followsTheLinksOfTheHubsCache() throws IOException {
    Path repository = folder.resolve("models--google--flan-t5-base");
    Path snapshot = Files.createDirectories(repository.resolve("snapshots/0123abc"));
    Path blobs = Files.createDirectories(repository.resolve("blobs"));
    SafeTensors.write(blobs.resolve("f00d"), List.of(tensor("w", 5)), Map.of());
    Files.createSymbolicLink(snapshot.resolve("part.safetensors"), Path.of("../../blobs/f00d"));
    Files.writeString(
        snapshot.resolve("model.safetensors.index.json"),
        "{\"weight_map\":{\"w\":\"part.safetensors\"}}");
    try (Checkpoint checkpoint = Checkpoint.open(snapshot)) {
      assertEquals(5, checkpoint.get("w").toFloat32()[0]);
    }
  }

  @Test
  void namesWhatIsMissing() throws IOException {
    assertTrue(refusal().contains("has no weights"));
    Path inside = Files.createDirectory(folder.resolve("model"));
    assertTrue(refusal().endsWith("whose model is " + inside + ": give that"), refusal());
    Files.delete(inside);
    Files.createFile(folder.resolve("tf_model.h5"));
    assertTrue(refusal().contains("only as tf_model.h5"));
    Path absent = folder.resolve("absent");
    assertTrue(
        assertThrows(InvalidInputException.class, () -> Checkpoint.open(absent))
            .getMessage()
            .contains("does not exist"));
    assertTrue(
        assertThrows(
                InvalidInputException.class, () -> Checkpoint.open(folder.resolve("tf_model.h5")))
            .getMessage()
            .contains("not a folder"));
  }

  @Test
  void namesTheNearestTensor() {
    write(
        "model.safetensors",
        tensor("encoder.block.0.layer.0.SelfAttention.q.weight", 1),
        tensor("encoder.block.0.layer.0.SelfAttention.k.weight", 1));
    try (Checkpoint checkpoint = Checkpoint.open(folder)) {
      String near =
          assertThrows(
                  InvalidInputException.class,
                  () -> checkpoint.get("encoder.block.0.layer.0.SelfAttn.k.weight"))
              .getMessage();
      assertTrue(near.contains(folder.toString()), near);
      assertTrue(
          near.endsWith("nearest name is encoder.block.0.layer.0.SelfAttention.k.weight"), near);
      String far =
          assertThrows(InvalidInputException.class, () -> checkpoint.get("lm_head")).getMessage();
      assertFalse(far.contains("nearest"), far);
    }
  }

  @Test
  void viewsEndWithTheCheckpoint() {
    write("model.safetensors", tensor("w", 1));
    Checkpoint checkpoint = Checkpoint.open(folder);
    TensorView view = checkpoint.get("w");
    checkpoint.close();
    checkpoint.close();
    assertThrows(IllegalStateException.class, view::toFloat32);
  }
}
