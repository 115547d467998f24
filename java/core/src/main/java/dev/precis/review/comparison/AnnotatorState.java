package dev.precis.review.comparison;

import dev.precis.review.comparison.TaskIds.Task;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** The choices of one annotator, and the tasks that were handed out and have none yet. */
final class AnnotatorState {
  /** A choice that is not undone; {@code swapped} if text b stood first. */
  record Done(long number, Task task, boolean swapped, boolean skipped, Double seconds) {}

  private final List<Done> done = new ArrayList<>();
  private final List<Task> reserved = new ArrayList<>();
  private final BitSet judged = new BitSet();
  private final BitSet repeated = new BitSet();

  List<Done> done() {
    return done;
  }

  List<Task> reserved() {
    return reserved;
  }

  /** Returns the choice of a task, which there must be. */
  Done of(Task task) {
    return done.stream().filter(each -> each.task().equals(task)).findFirst().orElseThrow();
  }

  boolean has(Task task) {
    return (task.repeat() ? repeated : judged).get(task.pair());
  }

  /** Returns whether a pair was answered or handed out, the first time or again. */
  boolean isTaken(Task task) {
    return has(task) || reserved.contains(task);
  }

  void add(Done choice) {
    done.add(choice);
    (choice.task().repeat() ? repeated : judged).set(choice.task().pair());
    reserved.remove(choice.task());
  }

  /** Takes the last choice back and hands its task out again, as the next one. */
  Done undo() {
    Done last = done.removeLast();
    (last.task().repeat() ? repeated : judged).clear(last.task().pair());
    reserved.remove(last.task());
    reserved.addFirst(last.task());
    return last;
  }

  int count(boolean repeat) {
    return (repeat ? repeated : judged).cardinality();
  }

  /** Returns how many of some pairs were answered or handed out. */
  int countTaken(int[] pairs) {
    int count = 0;
    for (int pair : pairs) {
      count += isTaken(new Task(pair, false)) ? 1 : 0;
    }
    return count;
  }

  /** Returns the median time of the newest choices in seconds; 0 if none has a time. */
  double medianSeconds(int newest) {
    double[] times =
        done.subList(Math.max(0, done.size() - newest), done.size()).stream()
            .map(Done::seconds)
            .filter(each -> each != null)
            .mapToDouble(Double::doubleValue)
            .sorted()
            .toArray();
    return times.length == 0 ? 0 : times[times.length / 2];
  }

  /** Counts the annotators who have each pair, the first time. */
  static Map<Integer, Integer> reservations(Iterable<AnnotatorState> others) {
    Map<Integer, Integer> counts = new HashMap<>();
    for (AnnotatorState other : others) {
      for (Task task : other.reserved) {
        if (!task.repeat()) {
          counts.merge(task.pair(), 1, Integer::sum);
        }
      }
    }
    return counts;
  }
}
