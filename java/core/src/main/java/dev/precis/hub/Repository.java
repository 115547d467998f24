package dev.precis.hub;

import dev.precis.io.InvalidInputException;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * One repository of the hub at one revision, its names checked: they become parts of addresses and
 * of paths.
 *
 * @param id {@code name} or {@code organisation/name}
 * @param revision a branch, a tag or a commit
 */
record Repository(String id, RepositoryKind kind, String revision) {
  private static final Pattern ID =
      Pattern.compile("(?:[A-Za-z0-9][\\w.-]{0,95}/)?[A-Za-z0-9][\\w.-]{0,95}");
  private static final Pattern REVISION = Pattern.compile("[\\w.+-]+(?:/[\\w.+-]+)*");
  private static final Pattern COMMIT = Pattern.compile("[0-9a-f]{40}");

  Repository {
    if (!ID.matcher(id).matches()
        || id.contains("--")
        || id.contains("..")
        || id.endsWith(".")
        || id.endsWith("-")
        || id.endsWith(".git")) {
      throw new InvalidInputException(
          "\"" + id + "\" is not a hub id: it must look like google/flan-t5-base");
    }
    if (revision.length() > 200
        || !REVISION.matcher(revision).matches()
        || !isPlainPath(revision)) {
      throw new InvalidInputException(
          "\"" + revision + "\" is not a revision: it must be a branch, a tag or a commit");
    }
  }

  static boolean isCommit(String revision) {
    return COMMIT.matcher(revision).matches();
  }

  /** Returns true if a path with slashes stays below the folder that it is resolved against. */
  static boolean isPlainPath(String path) {
    return Arrays.stream(path.split("/", -1))
        .allMatch(
            part ->
                !part.isEmpty()
                    && part.length() <= 255
                    && !part.equals(".")
                    && !part.equals("..")
                    && part.chars().noneMatch(c -> c < ' ' || c == 127 || c == '\\' || c == ':'));
  }

  /** Returns the name of its folder in the cache. */
  String folder() {
    return kind.plural() + "--" + id.replace("/", "--");
  }

  /** Returns the part of the address that describes it. */
  String infoAddress() {
    return "/api/" + kind.plural() + "/" + id + "/revision/" + encode(revision) + "?blobs=true";
  }

  /** Returns the part of the address that one of its files is at. */
  String fileAddress(String commit, String file) {
    String path =
        Arrays.stream(file.split("/")).map(Repository::encode).collect(Collectors.joining("/"));
    return "/" + page() + "/resolve/" + commit + "/" + path;
  }

  /** Returns the address of its page below the endpoint. */
  String page() {
    return kind.page() + id;
  }

  /** Returns a name for messages, such as "the model google/flan-t5-base". */
  @Override
  public String toString() {
    return "the " + kind.label() + " " + id;
  }

  private static String encode(String part) {
    return URLEncoder.encode(part, StandardCharsets.UTF_8).replace("+", "%20");
  }
}
