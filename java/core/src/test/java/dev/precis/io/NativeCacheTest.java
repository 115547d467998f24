package dev.precis.io;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.jar.JarOutputStream;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class NativeCacheTest {
  @TempDir Path folder;

  private URL jar(String name, String content) throws IOException {
    Path jar = folder.resolve(name);
    try (JarOutputStream out = new JarOutputStream(Files.newOutputStream(jar))) {
      out.putNextEntry(new ZipEntry("native/lib.so"));
      out.write(content.getBytes());
    }
    return URI.create("jar:" + jar.toUri() + "!/native/lib.so").toURL();
  }

  @ParameterizedTest
  @CsvSource({
    "Linux, amd64, linux-x86_64",
    "Linux, aarch64, linux-aarch64",
    "Mac OS X, aarch64, macos-aarch64",
    "Windows 11, amd64, windows-x86_64",
    "Linux, riscv64, linux-riscv64"
  })
  void namesThePlatform(String os, String arch, String platform) {
    assertEquals(platform, NativeCache.platform(os, arch));
  }

  @Test
  void unpacksOnceAndAgainWhereTheCopyIsCutOff() throws IOException {
    Path cache = folder.resolve("cache");
    URL resource = jar("a.jar", "library");
    Path copy = NativeCache.unpack(resource, "lib.so", cache);
    assertEquals("library", Files.readString(copy));
    FileTime longAgo = FileTime.fromMillis(0);
    Files.setLastModifiedTime(copy, longAgo);
    assertEquals(copy, NativeCache.unpack(resource, "lib.so", cache));
    assertEquals(longAgo, Files.getLastModifiedTime(copy));
    Files.writeString(copy, "libr");
    assertEquals(copy, NativeCache.unpack(resource, "lib.so", cache));
    assertEquals("library", Files.readString(copy));
    try (Stream<Path> files = Files.list(copy.getParent())) {
      assertEquals(1, files.count());
    }
  }

  @Test
  void repairsACopyOfTheRightLengthWithWrongBytes() throws IOException {
    Path cache = folder.resolve("cache");
    URL resource = jar("a.jar", "library");
    Path copy = NativeCache.unpack(resource, "lib.so", cache);
    Files.writeString(copy, "librar\0");
    assertEquals(copy, NativeCache.unpack(resource, "lib.so", cache));
    assertEquals("library", Files.readString(copy));
  }

  @Test
  void manyMayUnpackAtOnce() throws Exception {
    Path cache = folder.resolve("cache");
    String content = "library ".repeat(200_000);
    URL resource = jar("a.jar", content);
    try (ExecutorService threads = Executors.newFixedThreadPool(8)) {
      List<Future<String>> copies = new ArrayList<>();
      for (int i = 0; i < 16; i++) {
        copies.add(
            threads.submit(() -> Files.readString(NativeCache.unpack(resource, "lib.so", cache))));
      }
      for (Future<String> copy : copies) {
        assertEquals(content, copy.get());
      }
    }
  }

  @Test
  void anotherLibraryIsAnotherFile() throws IOException {
    Path cache = folder.resolve("cache");
    Path one = NativeCache.unpack(jar("a.jar", "library"), "lib.so", cache);
    Path other = NativeCache.unpack(jar("b.jar", "Library"), "lib.so", cache);
    assertEquals("library", Files.readString(one));
    assertEquals("Library", Files.readString(other));
  }

  @Test
  void aPlainFileIsItself() throws IOException {
    Path file = Files.writeString(folder.resolve("lib.so"), "library");
    assertEquals(file, NativeCache.unpack(file.toUri().toURL(), "lib.so", folder));
  }

  @Test
  void saysWhatToSetWhereItCannotWrite() throws IOException {
    Path file = Files.writeString(folder.resolve("file"), "");
    URL resource = jar("a.jar", "library");
    String sentence =
        assertThrows(UncheckedIOException.class, () -> NativeCache.unpack(resource, "lib.so", file))
            .getMessage();
    assertTrue(sentence.contains("PRECIS_CACHE_DIR"), sentence);
  }
}
