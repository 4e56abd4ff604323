"""The real stack: kube-apiserver, etcd, controllers, kwok and Argo CD as processes on loopback, in the place of the embedded cluster."""
