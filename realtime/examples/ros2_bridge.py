"""A ROS 2 node: the events of a running session as topics of ROS4HRI (REP-155).

Needs ROS 2 with the package hri_msgs: python ros2_bridge.py [ENDPOINT]
"""

import sys
from importlib import import_module

import rclpy

from gscon_live.realtime.events.client import Subscriber
from gscon_live.realtime.outlets.media_clock import MediaClock
from gscon_live.realtime.outlets.ros import RosMapping


def main() -> None:
    rclpy.init()
    node = rclpy.create_node("gscon_live")
    publishers, mapping, clock = {}, RosMapping(), MediaClock()
    with Subscriber(sys.argv[1] if len(sys.argv) > 1 else "tcp://127.0.0.1:5560") as events:
        while rclpy.ok():
            received = events.receive(timeout=0.5)
            if received is None:
                continue
            clock.note(received.event, node.get_clock().now().nanoseconds / 1e9)
            for topic, kind, fields, time in mapping.messages(received.event):
                package, _, name = kind.replace("/", ".").rpartition(".")
                message = getattr(import_module(package), name)()
                for field, value in fields.items():
                    if hasattr(message, field):  # older hri_msgs lack some
                        setattr(message, field, value)
                if hasattr(message, "header"):
                    seconds, fraction = divmod(clock.at(time), 1)
                    message.header.stamp.sec = int(seconds)
                    message.header.stamp.nanosec = int(fraction * 1e9)
                if topic not in publishers:
                    publishers[topic] = node.create_publisher(type(message), topic, 10)
                publishers[topic].publish(message)


if __name__ == "__main__":
    main()
